// SPDX-License-Identifier: MIT
// Ending another daemon by force, whole.
#pragma once

#include <sys/types.h>

namespace xsgit::server {

/// Kills the daemon whose keeper is process `keeper`, its server with it, so that neither takes the other's place. Does
/// not wait for their end. False: that is no xenstored which has `lock` open, or we may not kill it.
bool end_daemon(pid_t keeper, int lock) noexcept;

} // namespace xsgit::server
