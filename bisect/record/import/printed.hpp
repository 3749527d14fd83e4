// SPDX-License-Identifier: MIT
// Messages as daemons print them into their logs: types by name, and payloads with blanks instead of NULs.
#pragma once

#include "bisect/record/recorder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xsgit::record {

/// "WATCH_EVENT", also "DEBUG" of older daemons; nullopt: none.
std::optional<std::uint32_t> type_named(std::string_view name);

/// The payload of a message that was printed so. Where blanks can only be NULs they become NULs; in values they stay, because a
/// value may hold either.
std::string payload_printed(std::uint32_t type, From from, std::string_view text);

/// "20261122" and "07:24:53" as seconds since 1970, in UTC or the local time zone; nullopt: no date.
std::optional<std::uint64_t> seconds_of(std::string_view date, std::string_view time, bool utc);

} // namespace xsgit::record
