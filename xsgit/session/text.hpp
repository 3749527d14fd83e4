// SPDX-License-Identifier: MIT
// Session records as lines, for people and for grep.
#pragma once

#include "xsgit/session/record.hpp"

#include <string>
#include <string_view>

namespace xsgit::session {

/// Bytes of a payload: printable ASCII but "|" and "\\" as it is, NUL as "|", the rest as escape() has it ("\x7c" for "|").
std::string payload_text(std::string_view payload);

/// "WRITE", "#99".
std::string type_text(std::uint32_t type);

/// One line without its end, pure ASCII; the words are those of xsgit-session(5):
///   "12.000345 c3 request 7 tx1 WRITE /local/domain/5/state|4"
std::string line(const Record &r);

} // namespace xsgit::session
