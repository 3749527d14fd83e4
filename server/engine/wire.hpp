// SPDX-License-Identifier: MIT
// The xenstore wire format (xs_wire.h): header and arguments, as pure functions.
//
//   off size (native endian)
//    0   4   type    MsgType
//    4   4   req_id  chosen by the client, echoed
//    8   4   tx_id   0 = no transaction, echoed
//   12   4   len     bytes of payload that follow, at most kPayloadMax
#pragma once

#include "xsgit/base/limits.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace xsgit::server {

enum class MsgType : std::uint32_t {
    Control = 0,
    Directory = 1,
    Read = 2,
    GetPerms = 3,
    Watch = 4,
    Unwatch = 5,
    TransactionStart = 6,
    TransactionEnd = 7,
    Introduce = 8,
    Release = 9,
    GetDomainPath = 10,
    Write = 11,
    Mkdir = 12,
    Rm = 13,
    SetPerms = 14,
    WatchEvent = 15,
    Error = 16,
    IsDomainIntroduced = 17,
    Resume = 18,
    SetTarget = 19,
    ResetWatches = 21,
    DirectoryPart = 22,
    GetFeature = 23,
    SetFeature = 24,
    GetQuota = 25,
    SetQuota = 26,
};

/// "READ", "TRANSACTION_START"; "UNKNOWN" for what is none. Static lifetime.
std::string_view type_name(std::uint32_t type) noexcept;

struct Header {
    std::uint32_t type = 0, req_id = 0, tx_id = 0, len = 0;
};

/// `bytes` holds at least kHeaderSize bytes.
Header read_header(const char *bytes) noexcept;
void write_header(const Header &h, char *out) noexcept;

/// A request as executed: header and exactly `header.len` bytes of payload.
struct Request {
    Header header;
    std::string_view payload;
};
/// Nullopt when `wire` is not exactly one message.
std::optional<Request> read_request(std::string_view wire) noexcept;

/// The only argument of a one-argument command: exactly one NUL, as the last byte.
std::optional<std::string_view> one_argument(std::string_view payload) noexcept;
/// Every NUL-terminated string, at most `max + 1` of them (so that too many shows); bytes
/// after the last NUL are ignored.
std::vector<std::string_view> arguments(std::string_view payload, std::size_t max);
/// Number of NULs.
std::size_t count_strings(std::string_view payload) noexcept;

/// 4.22's domid syntax: unsigned decimal, nothing else, 0..65535; the empty string is 0.
std::optional<std::uint32_t> parse_domid(std::string_view text) noexcept;
/// C's atoi: leading blanks, sign, digits; 0 if there are none, saturating.
long parse_atoi(std::string_view text) noexcept;

} // namespace xsgit::server
