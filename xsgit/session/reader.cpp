// SPDX-License-Identifier: MIT
// Framing, checks and order of what is read.
#include "xsgit/session/reader.hpp"

#include "xsgit/session/codec.hpp"
#include "xsgit/session/frame.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/core.h>
#include <utility>

namespace xsgit::session {

namespace {

constexpr std::size_t kChunk = 65536;
// The shortest record: kind, length 0, check. A length that is allowed takes no more than what is left of it.
constexpr std::size_t kShortest = 6;

std::uint64_t little(std::string_view bytes) noexcept
{
    std::uint64_t v = 0;
    for (std::size_t i = bytes.size(); i > 0; --i)
        v = v << 8 | static_cast<std::uint8_t>(bytes[i - 1]);
    return v;
}

Reader::Source from_memory(std::string_view bytes)
{
    return [bytes](char *to, std::size_t n) mutable {
        n = std::min(n, bytes.size());
        std::memcpy(to, bytes.data(), n);
        bytes.remove_prefix(n);
        return n;
    };
}

} // namespace

Reader::Reader(std::string_view bytes) : Reader(from_memory(bytes)) {}

Reader::Reader(Source source) : source_(std::move(source))
{
    const bool whole = fill(kHeaderBytes);
    const std::string_view header = std::string_view(buffer_).substr(0, kHeaderBytes);
    if (!header.starts_with(kMagic))
        throw NotASession("this is no session: it does not begin with \"" + std::string(kMagic) + "\"");
    if (!whole)
        throw NotASession("this session is cut off in its first 16 bytes");
    const std::uint64_t version = little(header.substr(8, 2));
    if (version != kVersion)
        throw NotASession(
            fmt::format("this session is of version {}; this program reads version {}: take one that "
                        "is as new as the recorder",
                        version, kVersion));
    check_ = check_of(0, header.substr(0, kHeaderBytes - kCheckBytes));
    if (little(header.substr(kHeaderBytes - kCheckBytes)) != check_)
        throw NotASession("this session is damaged in its first 16 bytes");
    used_ = bytes_ = kHeaderBytes;
    std::optional<Record> first;
    try {
        first = read();
    } catch (const SessionDamaged &e) {
        throw NotASession(fmt::format("nothing of this session can be read: {}", e.what()));
    }
    if (!first)
        throw NotASession("this session is cut off after its first 16 bytes");
    meta_ = std::get<Meta>(std::move(first->body)); // Rules: the first is one
}

std::optional<Record> Reader::next()
{
    if (!damage_.empty())
        throw SessionDamaged(damage_);
    return read();
}

bool Reader::fill(std::size_t n)
{
    if (used_ >= kChunk) { // what was used goes, but not byte by byte
        buffer_.erase(0, used_);
        used_ = 0;
    }
    while (buffer_.size() - used_ < n) {
        const std::size_t have = buffer_.size();
        buffer_.resize(have + kChunk);
        const std::size_t got = source_(buffer_.data() + have, kChunk);
        buffer_.resize(have + std::min(got, kChunk));
        if (got == 0)
            return false;
    }
    return true;
}

/// Kind and length of the record at hand; false at the end of the file. The buffer has the whole record.
bool Reader::frame(std::uint8_t &kind, std::size_t &body)
{
    fill(kShortest); // not more: behind it there may be nothing for a long time
    std::string_view front = std::string_view(buffer_).substr(used_, kShortest);
    if (front.empty())
        return false;
    kind = static_cast<std::uint8_t>(front.front());
    const std::size_t had = front.size();
    front.remove_prefix(1);
    std::uint64_t length = 0;
    try {
        length = take_varint(front);
    } catch (const BadBody &) {
        damaged(had < kShortest ? "it is cut off" : "its length is damaged");
    }
    if (length > kBodyMax)
        damaged(fmt::format("its length is {} bytes where {} are the most", length, kBodyMax));
    body = static_cast<std::size_t>(length);
    const std::size_t before = had - front.size();
    if (!fill(before + body + kCheckBytes))
        damaged("it is cut off");
    return true;
}

std::optional<Record> Reader::read()
{
    std::uint8_t kind = 0;
    std::size_t length = 0;
    while (frame(kind, length)) {
        const std::string_view rest = std::string_view(buffer_).substr(used_);
        std::string_view body = rest.substr(1);
        take_varint(body);
        const std::size_t checked = rest.size() - body.size() + length;
        const std::uint32_t check = check_of(check_, rest.substr(0, checked));
        if (little(rest.substr(checked, kCheckBytes)) != check)
            damaged("its bytes are not what was written, or a record before it is missing");
        Decoded decoded;
        try {
            decoded = decode(kind, body.substr(0, length));
        } catch (const BadBody &e) {
            damaged(e.what());
        }
        if (!decoded.body && !(kind & kOptional))
            damaged(fmt::format("its kind, {}, is not known to this program", kind));
        if (const std::string why = decoded.body ? rules_.refuse(*decoded.body) : rules_.refuse(Note());
            !why.empty())
            damaged(why);
        if (decoded.delta_us > kTimeMax - at_us_)
            damaged("its time is beyond all bounds");
        at_us_ += decoded.delta_us;
        used_ += checked + kCheckBytes;
        bytes_ += checked + kCheckBytes;
        check_ = check;
        ++records_;
        if (!decoded.body) {
            ++skipped_;
            continue;
        }
        complete_ = std::holds_alternative<End>(*decoded.body);
        return Record{at_us_, std::move(*decoded.body)};
    }
    return std::nullopt;
}

void Reader::damaged(const std::string &why)
{
    damage_ = fmt::format("record {} at byte {}: {}", records_ + 1, bytes_, why);
    throw SessionDamaged(damage_);
}

} // namespace xsgit::session
