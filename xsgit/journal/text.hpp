// SPDX-License-Identifier: MIT
// Events as text, for tools: JSON Lines, one object per event.
#pragma once

#include "xsgit/journal/event.hpp"

#include <string>
#include <string_view>

namespace xsgit {

/// "start", "request", …; "invalid" for a value that is none.
std::string_view kind_name(EventKind k) noexcept;

/// The name of a request's type ("WRITE"); empty for a number without one.
std::string_view request_name(std::uint32_t type) noexcept;

/// One line without its end, keys in this order, pure ASCII:
///   n, kind, mono, wall (µs), conn, req, facts
///   requests: type (name, else the number), tx, payload
///   requests whose wire data is shorter than a header: wire instead of these
/// Bytes of guests (facts, payload, wire) are escaped as by escape(), then as JSON strings.
std::string json_line(const Event &e);

} // namespace xsgit
