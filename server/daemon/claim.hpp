// SPDX-License-Identifier: MIT
// Becoming the one daemon of a repository: as the first, or in the place of a running one.
#pragma once

#include "server/daemon/fd_store.hpp"
#include "server/daemon/log.hpp"
#include "server/daemon/options.hpp"
#include "server/daemon/takeover.hpp"
#include "server/daemon/unique_fd.hpp"

#include <vector>

namespace xsgit::server {

struct Claim {
    Inheritance own;
    bool taken_over = false;
};

/// Lock, sockets and slots file, made or taken over from a running daemon; or, of one that is gone, `stored`, which
/// the service manager has kept. Throws std::runtime_error that says what to do.
Claim claim_repository(const Options &options, const std::vector<StoredFd> &stored, Log &log);

/// Orderly stop of the running daemon. Throws std::runtime_error if there is none or it does not stop.
void stop_running(const Options &options);

} // namespace xsgit::server
