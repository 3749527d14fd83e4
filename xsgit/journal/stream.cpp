// SPDX-License-Identifier: MIT
// Writing and reading the framing of the checkpoint.
#include "xsgit/journal/stream.hpp"

#include <bit>
#include <cassert>
#include <cstring>
#include <fmt/core.h>
#include <limits>
#include <utility>
#include <xxhash.h>

namespace xsgit {

static_assert(std::endian::native == std::endian::little, "the stream's flags say little-endian");

namespace {

constexpr std::string_view kMagic = "xenstore";
constexpr std::size_t kStreamHeader = 16;
constexpr std::size_t kRecordFrame = 8;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kEnd = 0;

template <class T>
void append(std::string &out, T v)
{
    char raw[sizeof v];
    std::memcpy(raw, &v, sizeof v);
    out.append(raw, sizeof v);
}

/// Takes a T off the front of `rest`.
template <class T>
T take(std::string_view &rest)
{
    if (rest.size() < sizeof(T))
        throw StreamDamaged(fmt::format("a value of {} bytes where {} are left", sizeof(T), rest.size()));
    T v;
    std::memcpy(&v, rest.data(), sizeof v);
    rest.remove_prefix(sizeof v);
    return v;
}

std::uint32_t take_big_endian(std::string_view &rest) { return __builtin_bswap32(take<std::uint32_t>(rest)); }

} // namespace

// ---- writer -----------------------------------------------------------------

StreamWriter::StreamWriter()
{
    out_.append(kMagic);
    append(out_, __builtin_bswap32(kVersion));
    append(out_, std::uint32_t{0});
}

void StreamWriter::close()
{
    if (body_ == 0)
        return;
    out_.resize((out_.size() + 7) & ~std::size_t{7});
    const std::size_t length = out_.size() - body_;
    assert(length <= std::numeric_limits<std::uint32_t>::max());
    const auto length32 = static_cast<std::uint32_t>(length);
    std::memcpy(out_.data() + body_ - sizeof length32, &length32, sizeof length32);
    body_ = 0;
}

void StreamWriter::record(std::uint32_t type)
{
    assert(type != kEnd);
    close();
    append(out_, type);
    append(out_, std::uint32_t{0}); // the length: close()
    body_ = out_.size();
}

void StreamWriter::u8(std::uint8_t v)
{
    assert(body_ != 0);
    append(out_, v);
}

void StreamWriter::u16(std::uint16_t v)
{
    assert(body_ != 0);
    append(out_, v);
}

void StreamWriter::u32(std::uint32_t v)
{
    assert(body_ != 0);
    append(out_, v);
}

void StreamWriter::u64(std::uint64_t v)
{
    assert(body_ != 0);
    append(out_, v);
}

void StreamWriter::bytes(std::string_view s)
{
    assert(body_ != 0);
    out_.append(s);
}

void StreamWriter::text(std::string_view s)
{
    assert(s.size() <= std::numeric_limits<std::uint32_t>::max());
    u32(static_cast<std::uint32_t>(s.size()));
    bytes(s);
}

std::string StreamWriter::finish()
{
    close();
    append(out_, kEnd);
    append(out_, std::uint32_t{0});
    append(out_, std::uint64_t{XXH3_64bits(out_.data(), out_.size())});
    return std::exchange(out_, std::string());
}

// ---- one record -------------------------------------------------------------

std::uint8_t RecordReader::u8() { return take<std::uint8_t>(rest_); }

std::uint16_t RecordReader::u16() { return take<std::uint16_t>(rest_); }

std::uint32_t RecordReader::u32() { return take<std::uint32_t>(rest_); }

std::uint64_t RecordReader::u64() { return take<std::uint64_t>(rest_); }

std::string_view RecordReader::bytes(std::size_t n)
{
    if (rest_.size() < n)
        throw StreamDamaged(
            fmt::format("{} bytes in record {:#x} where {} are left", n, type_, rest_.size()));
    const std::string_view s = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return s;
}

std::string_view RecordReader::text()
{
    const std::uint32_t n = u32();
    return bytes(n);
}

// ---- reader -----------------------------------------------------------------

StreamReader::StreamReader(std::string_view data, bool checksum) : rest_(data), checksum_(checksum)
{
    if (data.size() < kStreamHeader || data.substr(0, kMagic.size()) != kMagic)
        throw StreamDamaged("not a xenstore stream");
    rest_.remove_prefix(kMagic.size());
    version_ = take_big_endian(rest_);
    const std::uint32_t flags = take_big_endian(rest_);
    if (version_ < 1 || version_ > kVersion)
        throw StreamDamaged(
            fmt::format("a xenstore stream of version {}, this program knows 1 and 2", version_));
    if (flags != 0)
        throw StreamDamaged(
            fmt::format("a xenstore stream with flags {:#x} (1: of a big-endian host)", flags));
    if (!checksum)
        return;
    if (rest_.size() < sizeof(std::uint64_t))
        throw StreamDamaged("the stream is cut off");
    std::string_view trailer = data.substr(data.size() - sizeof(std::uint64_t));
    rest_.remove_suffix(trailer.size());
    if (take<std::uint64_t>(trailer) != XXH3_64bits(data.data(), data.size() - sizeof(std::uint64_t)))
        throw StreamDamaged("the stream's checksum is wrong");
}

std::optional<RecordReader> StreamReader::next()
{
    if (end_)
        return std::nullopt;
    if (rest_.size() < kRecordFrame)
        throw StreamDamaged("the stream is cut off");
    const auto type = take<std::uint32_t>(rest_);
    const std::size_t length = take<std::uint32_t>(rest_);
    const std::size_t padded = (length + 7) & ~std::size_t{7};
    if (type == kEnd) {
        if (length != 0 || (checksum_ && !rest_.empty()))
            throw StreamDamaged("the stream's end is damaged");
        end_ = true;
        return std::nullopt;
    }
    if (rest_.size() < padded)
        throw StreamDamaged(fmt::format("record {:#x} of {} bytes is cut off", type, length));
    const std::string_view body = rest_.substr(0, length);
    rest_.remove_prefix(padded);
    return RecordReader(type, body);
}

} // namespace xsgit
