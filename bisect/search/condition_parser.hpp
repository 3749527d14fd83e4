// SPDX-License-Identifier: MIT
// Conditions as people type them.
//
//   either  := both ("or" both)*
//   both    := single ("and" single)*
//   single  := "not" single | "(" either ")" | test
//   test    := PATH | PATH ("=" | "!=") VALUE | PATH ("~" | "!~") REGEX | "perms" "(" PATH ")" ("=" | "!=") LIST
// A path alone: the node exists. Relative ones are domain 0's, as for xenstore-read. VALUE, REGEX and LIST are words, or
// stand in '' or "", where \\ \' \" \n \t \r \xNN stand for bytes. != and !~ hold where the node is missing, too.
#pragma once

#include "bisect/search/condition.hpp"

#include <string_view>

namespace xsgit::bisect {

/// Throws inspect::ToolFailure (kUsage) that says where it stopped making sense.
Condition parse_condition(std::string_view text);

} // namespace xsgit::bisect
