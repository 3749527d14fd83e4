// SPDX-License-Identifier: MIT
// Leaving the terminal, with a launcher that waits for the outcome.
#pragma once

#include "server/daemon/unique_fd.hpp"

namespace xsgit::server {

/// Returns in the daemon (second fork, own session, in "/"), with the end of a pipe: one byte into it lets the
/// launcher exit 0, closing it without lets it exit 1. Does not return in the launcher.
/// Throws std::system_error.
UniqueFd daemonize();
void report_ready(UniqueFd &pipe);
/// Standard input, output and error are /dev/null from now on.
void leave_terminal();

} // namespace xsgit::server
