// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_format.hpp"

#include <cstring>
#include <libdeflate.h>

namespace xsgit {

namespace {

constexpr std::size_t kMaxBlock = 65535;
constexpr std::size_t kBlockHead = 5;
constexpr std::size_t kStreamOverhead = 2 + kBlockHead + 4;

char *put_head(char *p, std::uint8_t type, std::uint64_t size) noexcept
{
    auto byte = static_cast<unsigned>(type << 4) | static_cast<unsigned>(size & 15);
    size >>= 4;
    while (size) {
        *p++ = static_cast<char>(byte | 0x80);
        byte = size & 0x7f;
        size >>= 7;
    }
    *p++ = static_cast<char>(byte);
    return p;
}

char *put_block_head(char *p, bool last, std::size_t size) noexcept
{
    const auto n = static_cast<unsigned>(size);
    *p++ = static_cast<char>(last);
    *p++ = static_cast<char>(n);
    *p++ = static_cast<char>(n >> 8);
    *p++ = static_cast<char>(~n);
    *p++ = static_cast<char>(~n >> 8);
    return p;
}

std::uint32_t checksum(std::string_view content) noexcept
{
    return libdeflate_adler32(1, content.data(), content.size());
}

/// Takes the next block off `stream`. False: not a stored block.
bool next_block(std::string_view &stream, std::string_view &block, bool &last) noexcept
{
    if (stream.size() < kBlockHead)
        return false;
    const auto b = [&](int i) { return unsigned{static_cast<unsigned char>(stream[i])}; };
    const unsigned size = b(1) | b(2) << 8;
    if (b(0) > 1 || (size ^ 0xffff) != (b(3) | b(4) << 8) || stream.size() - kBlockHead < size)
        return false;
    last = b(0) == 1;
    block = stream.substr(kBlockHead, size);
    stream.remove_prefix(kBlockHead + size);
    return true;
}

bool take_zlib_head(std::string_view &stream) noexcept
{
    if (stream.size() < 2 || (stream[0] & 15) != 8)
        return false;
    stream.remove_prefix(2);
    return true;
}

} // namespace

void put_pack_header(char *p, std::uint32_t objects) noexcept
{
    std::memcpy(p, "PACK", 4);
    put_be32(p + 4, 2);
    put_be32(p + 8, objects);
}

std::size_t put_distance(char *p, std::uint32_t distance) noexcept
{
    char digits[5];
    std::size_t n = 0;
    digits[n++] = static_cast<char>(distance & 0x7f);
    while (distance >>= 7)
        digits[n++] = static_cast<char>(0x80 | (--distance & 0x7f));
    for (std::size_t i = 0; i < n; ++i)
        p[i] = digits[n - 1 - i];
    return n;
}

std::size_t stored_size(std::size_t size) noexcept
{
    const std::size_t blocks = size ? (size + kMaxBlock - 1) / kMaxBlock : 1;
    return kStreamOverhead + (blocks - 1) * kBlockHead + size;
}

std::uint32_t append_entry(std::string &out, std::uint8_t type, std::uint32_t distance,
                           std::string_view content)
{
    const std::size_t start = out.size();
    constexpr std::size_t kSmall = 128; // nearly all entries: one append, from the stack
    char buffer[16 + kStreamOverhead + kSmall];
    char *p = put_head(buffer, type, content.size());
    if (distance)
        p += put_distance(p, distance);
    *p++ = 0x78;
    *p++ = 0x01;
    std::string_view rest = content;
    if (rest.size() <= kSmall) {
        p = put_block_head(p, true, rest.size());
        if (!rest.empty())
            std::memcpy(p, rest.data(), rest.size());
        p += rest.size();
    } else {
        do {
            const std::string_view block = rest.substr(0, kMaxBlock);
            rest.remove_prefix(block.size());
            p = put_block_head(p, rest.empty(), block.size());
            out.append(buffer, static_cast<std::size_t>(p - buffer));
            out.append(block);
            p = buffer;
        } while (!rest.empty());
    }
    put_be32(p, checksum(content));
    p += 4;
    out.append(buffer, static_cast<std::size_t>(p - buffer));
    return libdeflate_crc32(0, out.data() + start, out.size() - start);
}

bool parse_head(std::string_view entry, EntryHead &head) noexcept
{
    std::size_t i = 0;
    const auto more = [&] { return i < entry.size(); };
    const auto next = [&] { return unsigned{static_cast<unsigned char>(entry[i++])}; };
    if (!more())
        return false;
    unsigned byte = next();
    head.type = (byte >> 4) & 7;
    head.size = byte & 15;
    for (unsigned shift = 4; byte & 0x80; shift += 7) {
        if (!more() || shift > 32)
            return false;
        byte = next();
        head.size |= std::uint64_t{byte & 0x7f} << shift;
    }
    head.head_bytes = static_cast<std::uint32_t>(i);
    head.distance = 0;
    if (head.type == kOfsDelta) {
        if (!more())
            return false;
        byte = next();
        head.distance = byte & 0x7f;
        for (int n = 1; byte & 0x80; ++n) {
            if (!more() || n > 5)
                return false;
            byte = next();
            head.distance = ((head.distance + 1) << 7) | (byte & 0x7f);
        }
        if (head.distance == 0)
            return false;
    } else if (head.type < 1 || head.type > 4) {
        return false; // REF_DELTA and tags never come from us
    }
    head.all_bytes = static_cast<std::uint32_t>(i);
    return true;
}

bool read_stored(std::string_view stream, std::uint64_t size, std::string &content)
{
    content.clear();
    if (!take_zlib_head(stream))
        return false;
    for (bool last = false; !last;) {
        std::string_view block;
        if (!next_block(stream, block, last) || block.size() > size - content.size())
            return false;
        content.append(block);
    }
    return content.size() == size && stream.size() >= 4 && get_be32(stream.data()) == checksum(content);
}

std::string_view view_stored(std::string_view stream, std::uint64_t size) noexcept
{
    std::string_view block;
    bool last = false;
    if (!take_zlib_head(stream) || !next_block(stream, block, last) || !last || block.size() != size)
        return {};
    return block;
}

} // namespace xsgit
