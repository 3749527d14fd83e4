// SPDX-License-Identifier: MIT
// The commands of CONTROL.
#pragma once

#include <string_view>

namespace xsgit::server {

struct ControlCommand {
    std::string_view name;
    std::string_view parameters; // as `help` shows them
    bool by_server;              // its effect lies outside the state: the answer is a fact
};

/// Null if there is none of that name. Static lifetime.
const ControlCommand *control_command(std::string_view name) noexcept;

} // namespace xsgit::server
