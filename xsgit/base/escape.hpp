// SPDX-License-Identifier: MIT
// The one way guest bytes get onto a terminal, a log line or a commit subject.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xsgit {

/// Printable ASCII stays, "\\" becomes "\\\\", everything else \n \t \r or \xNN.
/// More than `limit` input bytes (0: no limit) are cut and end in "...".
std::string escape(std::string_view bytes, std::size_t limit = 0);

} // namespace xsgit
