// SPDX-License-Identifier: MIT
// Entries of the log as text.
#pragma once

#include "inspect/log_walk.hpp"

#include <string>

namespace xsgit::inspect {

/// One line, and one for each step below it:
///   Nov 21 10:23:41.118203  #18234    d5   tx17  WRITE     /local/domain/5/device/vif/0/state = "3"  ok
std::string short_text(const LogEntry &entry, bool utc);
/// Time and number, then a line for each field.
std::string verbose_text(TreeReader &reader, const LogEntry &entry, bool utc);
/// What was done, only.
std::string cat_text(const LogEntry &entry);

} // namespace xsgit::inspect
