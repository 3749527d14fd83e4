// SPDX-License-Identifier: MIT
// Framing and order of what is written.
#include "xsgit/session/writer.hpp"

#include "xsgit/session/codec.hpp"
#include "xsgit/session/frame.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <libdeflate.h>
#include <utility>

namespace xsgit::session {

namespace {

void put_little(std::string &out, std::uint64_t v, std::size_t bytes)
{
    for (std::size_t i = 0; i < bytes; ++i)
        out += static_cast<char>(v >> (8 * i));
}

} // namespace

std::uint32_t check_of(std::uint32_t before, std::string_view bytes) noexcept
{
    return libdeflate_crc32(before, bytes.data(), bytes.size());
}

Writer::Writer(const Meta &meta, Sink sink) : sink_(std::move(sink))
{
    record_ = kMagic;
    put_little(record_, kVersion, 2);
    put_little(record_, 0, 2);
    check_ = check_of(0, record_);
    put_little(record_, check_, kCheckBytes);
    add(0, meta);
}

void Writer::add(std::uint64_t at_us, const Body &body)
{
    std::string bytes;
    try {
        at_us = std::max(at_us, last_us_);
        if (at_us > kTimeMax)
            throw BadBody("its time is beyond all bounds");
        bytes = encode(body, at_us - last_us_);
    } catch (const BadBody &e) {
        throw NotWritable(fmt::format("a session cannot hold this record: {}", e.what()));
    }
    if (const std::string why = rules_.refuse(body); !why.empty())
        throw NotWritable(fmt::format("a session cannot hold this record: {}", why));
    const std::size_t begin = record_.size(); // the header, the first time
    record_ += static_cast<char>(kind_of(body));
    put_varint(record_, bytes.size());
    record_ += bytes;
    check_ = check_of(check_, std::string_view(record_).substr(begin));
    put_little(record_, check_, kCheckBytes);
    last_us_ = at_us;
    bytes_ += record_.size();
    ++records_;
    sink_(record_);
    record_.clear();
}

} // namespace xsgit::session
