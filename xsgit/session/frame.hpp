// SPDX-License-Identifier: MIT
// The frame of session files: a header, and around each record kind, length and check.
//
//   header  "xsgitses", u16 version, u16 0, u32 CRC-32 of these 12 bytes (little-endian)
//   record  u8 kind, varint length of the body, body, u32 CRC-32
// The CRC-32 (zlib's) of a record goes on from that of the record before it, the first from the header's: so records
// that are missing or stand in another order are found, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace xsgit::session {

inline constexpr std::string_view kMagic = "xsgitses";
inline constexpr std::size_t kHeaderBytes = 16, kCheckBytes = 4;

/// Goes on from `before` (0 at first). O(bytes).
std::uint32_t check_of(std::uint32_t before, std::string_view bytes) noexcept;

} // namespace xsgit::session
