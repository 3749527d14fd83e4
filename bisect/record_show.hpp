// SPDX-License-Identifier: MIT
// A session for people and for programs. Prints.
#pragma once

#include <string>

namespace xsgit::record {

/// "-": standard input. What is behind damage is not shown; standard error says where it is. The exit code: 0, or 1 if the
/// session is damaged or cut within a record. Throws inspect::ToolFailure if it is no session, or cannot be read.
int show(const std::string &path, bool json);

} // namespace xsgit::record
