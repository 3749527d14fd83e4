// SPDX-License-Identifier: MIT
// The bytes of a pack, version 2 (gitformat-pack(5)), as far as we write and read them.
//
//   "PACK" version(4) objects(4) { entry } sha1(20)
//   entry    := head [ distance ] stream
//   head     := type and inflated size: 3 bits of type, 4 bits of size, then 7 bits of size a byte
//   distance := how far back the delta base's entry begins (OFS_DELTA only)
//   stream   := a zlib stream; ours are stored: 78 01 { flag length ~length bytes } adler32
// Everything here works on memory and cannot fail but by a result.
#pragma once

#include "xsgit/git/oid.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit {

inline constexpr std::size_t kPackHeaderSize = 12;
inline constexpr std::size_t kPackTrailerSize = 20;
inline constexpr std::uint8_t kOfsDelta = 6;
/// Above this the index would need 64-bit offsets, which we do not write.
inline constexpr std::uint64_t kMaxPackSize = std::uint64_t{1} << 31;
/// Longest delta chain that the committer makes; a merge may join chains up to the second one.
inline constexpr std::uint16_t kMaxDeltaDepth = 31;
inline constexpr std::uint16_t kMaxMergedDepth = 63;

/// One object of a pack.
struct PackEntry {
    Oid oid;
    std::uint32_t offset = 0;
    std::uint32_t crc = 0;
    std::uint16_t depth = 0;
    std::uint8_t type = 0; // of the object; never kOfsDelta
};

inline void put_be32(char *p, std::uint32_t v) noexcept
{
    p[0] = static_cast<char>(v >> 24);
    p[1] = static_cast<char>(v >> 16);
    p[2] = static_cast<char>(v >> 8);
    p[3] = static_cast<char>(v);
}

inline std::uint32_t get_be32(const char *p) noexcept
{
    const auto b = [p](int i) { return std::uint32_t{static_cast<unsigned char>(p[i])}; };
    return b(0) << 24 | b(1) << 16 | b(2) << 8 | b(3);
}

/// "PACK", version, number of objects.
void put_pack_header(char *p, std::uint32_t objects) noexcept;

/// Appends one entry: of an object, or (distance != 0) of a delta. Returns its crc32.
std::uint32_t append_entry(std::string &out, std::uint8_t type, std::uint32_t distance,
                           std::string_view content);
/// Length of the zlib stream around `size` bytes.
std::size_t stored_size(std::size_t size) noexcept;

/// What stands before the zlib stream of an entry.
struct EntryHead {
    std::uint8_t type = 0;
    std::uint64_t size = 0;       // inflated: of the object or of the delta
    std::uint64_t distance = 0;   // kOfsDelta only, else 0
    std::uint32_t head_bytes = 0; // type and size
    std::uint32_t all_bytes = 0;  // and distance
};
/// False if `entry` does not begin with a head that we understand.
bool parse_head(std::string_view entry, EntryHead &head) noexcept;
/// Writes a distance (1 to 5 bytes) and returns its length.
std::size_t put_distance(char *p, std::uint32_t distance) noexcept;

/// Content of a stored stream of `size` inflated bytes; false if it is damaged or compressed.
bool read_stored(std::string_view stream, std::uint64_t size, std::string &content);
/// The same without a copy, for streams of one block; empty view with data() == nullptr if it is
/// not one. Checks structure, not the checksum.
std::string_view view_stored(std::string_view stream, std::uint64_t size) noexcept;

} // namespace xsgit
