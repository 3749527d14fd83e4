// SPDX-License-Identifier: MIT
// sd_notify() without the library: one datagram to $NOTIFY_SOCKET, if there is one.
#pragma once

#include <string_view>

namespace xsgit::server {

/// Sends `state`, with the descriptor `fd` if that is not -1. Never blocks. Gives 0 or what errno would be (EAGAIN:
/// the manager has not read the earlier ones), and 0 as well if there is nobody to tell.
int notify_service_manager(std::string_view state, int fd = -1) noexcept;

} // namespace xsgit::server
