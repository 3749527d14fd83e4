// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <cstring>
#include <vector>

using namespace xsgit;
using namespace xsgit::test;

namespace {

std::vector<std::byte> encode(const Event &e)
{
    // From a dirty buffer: every byte must be written.
    std::vector<std::byte> out(record_size(e), std::byte{0xa5});
    write_record(e, out.data());
    return out;
}

RecordStatus status(const std::vector<std::byte> &raw, std::size_t avail)
{
    // An exact allocation, so that a sanitizer sees a read past it.
    const std::vector<std::byte> copy(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(avail));
    Event e;
    std::size_t length = 0;
    return read_record(copy.data(), avail, e, length);
}

} // namespace

TEST_CASE("record: what is written is read back, at any alignment")
{
    for (std::uint64_t n = 1; n <= 400; ++n) {
        const Sample s(n);
        const auto raw = encode(s.event);
        CHECK(raw.size() % 8 == 0);
        std::vector<std::byte> shifted(raw.size() + 1);
        std::memcpy(shifted.data() + 1, raw.data(), raw.size());
        Event e;
        std::size_t length = 0;
        REQUIRE(read_record(shifted.data() + 1, raw.size(), e, length) == RecordStatus::Ok);
        CHECK(length == raw.size());
        CHECK(same(e, s.event));
    }
}

TEST_CASE("record: the layout is the documented one")
{
    Event e;
    e.number = 0x0102030405060708;
    e.kind = EventKind::Request;
    e.mono_us = 1;
    e.wall_us = 2;
    e.conn = 3;
    e.request = 4;
    e.outputs_hash = 5;
    e.facts = "F";
    e.wire = "WIRE";
    const auto raw = encode(e);
    REQUIRE(raw.size() == 80);
    const auto u32 = [&](std::size_t at) {
        std::uint32_t v;
        std::memcpy(&v, raw.data() + at, 4);
        return v;
    };
    const auto u64 = [&](std::size_t at) { return u32(at) | std::uint64_t{u32(at + 4)} << 32; };
    CHECK(u32(0) == 80);
    CHECK(u32(4) == 4);
    CHECK(u64(16) == e.number);
    CHECK(u64(24) == 1);
    CHECK(u64(32) == 2);
    CHECK(u64(40) == 3);
    CHECK(u64(48) == 4);
    CHECK(u64(56) == 5);
    CHECK(u32(64) == 1);
    CHECK(u32(68) == 4);
    CHECK(std::memcmp(raw.data() + 72, "FWIRE\0\0\0", 8) == 0);
}

TEST_CASE("record: the largest one, and an empty one")
{
    const std::string big(kRecordMax - kRecordHeader, 'x');
    Event e;
    e.kind = EventKind::Start;
    e.facts = big;
    CHECK(status(encode(e), kRecordMax) == RecordStatus::Ok);
    e.facts = {};
    CHECK(encode(e).size() == kRecordHeader);
    CHECK(status(encode(e), kRecordHeader) == RecordStatus::Ok);
}

TEST_CASE("record: cut off anywhere it is short")
{
    const auto raw = encode(Sample(6).event);
    for (std::size_t n = 0; n < raw.size(); ++n)
        CHECK(status(raw, n) == RecordStatus::Short);
}

TEST_CASE("record: every flipped bit is found")
{
    for (const std::uint64_t n : {1u, 6u, 16u}) { // short, with facts, long
        const auto raw = encode(Sample(n).event);
        for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
            auto bad = raw;
            bad[bit / 8] ^= std::byte{1} << (bit % 8);
            if (status(bad, bad.size()) == RecordStatus::Ok)
                FAIL("bit ", bit, " of event ", n);
        }
    }
}

TEST_CASE("record: space never written, and a kind that is none, are bad")
{
    CHECK(status(std::vector<std::byte>(4096), 4096) == RecordStatus::Bad);
    Event e;
    e.kind = EventKind::Invalid;
    CHECK(status(encode(e), kRecordHeader) == RecordStatus::Bad);
    e.kind = static_cast<EventKind>(11);
    CHECK(status(encode(e), kRecordHeader) == RecordStatus::Bad);
}
