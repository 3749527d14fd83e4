// SPDX-License-Identifier: MIT
// Bodies of session records as bytes. Framing, order and checks are the reader's and the writer's.
#pragma once

#include "xsgit/session/record.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xsgit::session {

/// A body that is none; the text says why ("a text of 9000 bytes where 4096 are the most").
struct BadBody : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Values are part of the format: never renumber.
enum class Kind : std::uint8_t {
    Meta = 1,
    Opened = 2,
    Closed = 3,
    Request = 4,
    Reply = 5,
    Event = 6,
    Dropped = 7,
    Domains = 8,
    Start = 9,
    Node = 10,
    Watch = 11,
    End = 12,
    Note = 0x80,
};
/// A kind with this bit may be skipped by who does not know it.
inline constexpr std::uint8_t kOptional = 0x80;

Kind kind_of(const Body &body) noexcept;

/// The body of a record, its time given as µs since the record before. Throws BadBody for what is over a limit.
std::string encode(const Body &body, std::uint64_t delta_us);

struct Decoded {
    std::uint64_t delta_us = 0;
    std::optional<Body> body; // nullopt: a kind that is not known
};
/// Throws BadBody. Bytes behind what is known of a body are ignored.
Decoded decode(std::uint8_t kind, std::string_view bytes);

/// Unsigned LEB128: seven bits a byte, the lowest first.
void put_varint(std::string &out, std::uint64_t v);
/// Takes one off the front. Throws BadBody at the end of the bytes, or over 64 bits.
std::uint64_t take_varint(std::string_view &bytes);

} // namespace xsgit::session
