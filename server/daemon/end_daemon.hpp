// SPDX-License-Identifier: MIT
// Ending another daemon by force, whole.
#pragma once

#include <sys/types.h>

namespace xsgit::server {

/// Kills the daemon whose keeper is process `keeper`, its server with it, so that neither takes the other's place. Does
/// not wait for their end. False: that is no xenstored, or it belongs to somebody whom we may not kill.
bool end_daemon(pid_t keeper) noexcept;

} // namespace xsgit::server
