// SPDX-License-Identifier: MIT
#include "xsgit/journal/stream.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace xsgit;
using namespace std::string_literals;

namespace {

constexpr std::uint32_t kOurs = 0x78730001;

std::string sample()
{
    StreamWriter w;
    w.record(kOurs);
    w.u8(1);
    w.u16(0x0203);
    w.u32(0x04050607);
    w.u64(0x08090a0b0c0d0e0f);
    w.text("text\0with NUL"s);
    w.record(kOurs + 1);
    w.record(kOurs + 2);
    w.bytes("12345678");
    w.text("");
    return w.finish();
}

/// Reads everything, from an allocation of just this size.
std::size_t read_all(std::string_view data, bool checksum)
{
    const std::vector<char> exact(data.begin(), data.end());
    StreamReader r(std::string_view(exact.data(), exact.size()), checksum);
    std::size_t bytes = 0;
    while (auto rec = r.next())
        bytes += rec->bytes(rec->left()).size();
    return bytes;
}

} // namespace

TEST_CASE("stream: what is written is read back")
{
    const std::string data = sample();
    StreamReader r(data);
    CHECK(r.version() == 2);
    auto a = r.next();
    REQUIRE(a);
    CHECK(a->type() == kOurs);
    CHECK(a->u8() == 1);
    CHECK(a->u16() == 0x0203);
    CHECK(a->u32() == 0x04050607);
    CHECK(a->u64() == 0x08090a0b0c0d0e0f);
    CHECK(a->text() == "text\0with NUL"s);
    CHECK(a->left() == 0); // 1 + 2 + 4 + 8 + 4 + 13
    auto b = r.next();
    REQUIRE(b);
    CHECK(b->type() == kOurs + 1);
    CHECK(b->left() == 0);
    CHECK_THROWS_AS(b->u8(), StreamDamaged);
    auto c = r.next();
    REQUIRE(c);
    CHECK(c->bytes(8) == "12345678");
    CHECK(c->text() == "");
    CHECK(c->left() == 4); // padding
    CHECK_THROWS_AS(c->u64(), StreamDamaged);
    CHECK_FALSE(r.next());
    CHECK_FALSE(r.next());
}

TEST_CASE("stream: the bytes are those of the format")
{
    StreamWriter w;
    w.record(3);
    w.u16(0x0102);
    const std::string data = w.finish();
    CHECK(data.substr(0, 40) == "xenstore\0\0\0\2\0\0\0\0"
                                "\3\0\0\0\10\0\0\0\2\1\0\0\0\0\0\0"
                                "\0\0\0\0\0\0\0\0"s);
    CHECK(data.size() == 48);
}

TEST_CASE("stream: an empty one")
{
    const std::string data = StreamWriter().finish();
    CHECK(data.size() == 32);
    CHECK_FALSE(StreamReader(data).next());
}

TEST_CASE("stream: of a C daemon, version 1, lengths not rounded, no trailer, something behind")
{
    const std::string data = "xenstore\0\0\0\1\0\0\0\0"
                             "\2\0\0\0\3\0\0\0abc\0\0\0\0\0"
                             "\0\0\0\0\0\0\0\0rest"s;
    StreamReader r(data, false);
    CHECK(r.version() == 1);
    auto rec = r.next();
    REQUIRE(rec);
    CHECK(rec->bytes(3) == "abc");
    CHECK(rec->left() == 0);
    CHECK_FALSE(r.next());
    CHECK_THROWS_AS(StreamReader{data}, StreamDamaged);
}

TEST_CASE("stream: headers of others")
{
    for (const std::string &bad :
         {"Xenstore\0\0\0\2\0\0\0\0"s, "xenstore\0\0\0\3\0\0\0\0"s, "xenstore\0\0\0\0\0\0\0\0"s,
          "xenstore\2\0\0\0\0\0\0\0"s, "xenstore\0\0\0\2\0\0\0\1"s})
        CHECK_THROWS_AS(read_all(bad + std::string(8, '\0'), false), StreamDamaged);
}

TEST_CASE("stream: cut off at every length")
{
    const std::string data = sample();
    CHECK(read_all(data, true) == 32 + 16);
    for (std::size_t n = 0; n < data.size(); ++n)
        CHECK_THROWS_AS(read_all(data.substr(0, n), true), StreamDamaged);
    // Without a checksum only the trailer may be missing.
    for (std::size_t n = 0; n < data.size() - 8; ++n)
        CHECK_THROWS_AS(read_all(data.substr(0, n), false), StreamDamaged);
    CHECK(read_all(data.substr(0, data.size() - 8), false) == 32 + 16);
    CHECK_THROWS_AS(read_all(data + '\0', true), StreamDamaged);
}

TEST_CASE("stream: every flipped bit is found by the checksum, and harmless without it")
{
    const std::string data = sample();
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        std::string bad = data;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
        CHECK_THROWS_AS(read_all(bad, true), StreamDamaged);
        std::size_t bytes = 0;
        try {
            bytes = read_all(bad, false);
        } catch (const StreamDamaged &) {
        }
        CHECK(bytes <= data.size());
    }
}

TEST_CASE("stream: lengths near the end of 32 bits")
{
    for (const char last : {'\xf8', '\xff'}) {
        std::string data =
            "xenstore\0\0\0\2\0\0\0\0\2\0\0\0"s + last + "\xff\xff\xff" + std::string(64, '\0');
        CHECK_THROWS_AS(read_all(data, false), StreamDamaged);
    }
    const std::string text = "\xff\xff\xff\xff"
                             "abcd"s;
    CHECK_THROWS_AS(RecordReader(1, text).text(), StreamDamaged);
    CHECK_THROWS_AS(RecordReader(1, text).bytes(9), StreamDamaged);
    CHECK_THROWS_AS(RecordReader(1, text).bytes(~std::size_t{0}), StreamDamaged);
}

TEST_CASE("stream: a value across the end is refused at every length")
{
    const std::string body(8, 'x');
    for (std::size_t n = 0; n < 8; ++n) {
        const std::vector<char> exact(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(n));
        const std::string_view v(exact.data(), exact.size());
        CHECK_THROWS_AS(RecordReader(1, v).u64(), StreamDamaged);
        if (n < 4)
            CHECK_THROWS_AS(RecordReader(1, v).u32(), StreamDamaged);
        if (n < 2)
            CHECK_THROWS_AS(RecordReader(1, v).u16(), StreamDamaged);
        if (n < 1)
            CHECK_THROWS_AS(RecordReader(1, v).u8(), StreamDamaged);
    }
}
