// SPDX-License-Identifier: MIT
// Points in time as journalctl's users write them, and as people read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xsgit::inspect {

/// Microseconds since 1970. Nullopt if `text` is none of:
///   now  today  yesterday  tomorrow            (the latter three: at 00:00)
///   -5min  +2h  now-1h30min  "10 seconds ago"  us ms s min h d w month y, and their long names
///   2026-11-21   2026-11-21 10:23   2026-11-21T10:23:00.25Z   10:23   10:23:41.118203
///   @1700000000  @1700000000.5
/// Local time, unless `utc` or the text ends in "Z" or "UTC".
std::optional<std::int64_t> parse_time(std::string_view text, std::int64_t now_us, bool utc);

/// "Nov 21 10:23:41.118203", as journalctl.
std::string short_time(std::int64_t us, bool utc);
/// "Sat 2026-11-21 10:23:41.118203 UTC".
std::string long_time(std::int64_t us, bool utc);
/// "2026-11-21T10:23:41.118203Z".
std::string iso_time(std::int64_t us);

/// The wall clock.
std::int64_t now_us();

} // namespace xsgit::inspect
