// SPDX-License-Identifier: MIT
// sd_notify() without the library: one datagram to $NOTIFY_SOCKET, if there is one.
#pragma once

#include <string_view>

namespace xsgit::server {

void notify_service_manager(std::string_view state) noexcept;

} // namespace xsgit::server
