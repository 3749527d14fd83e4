// SPDX-License-Identifier: MIT
// Session files: what is written is read back; what is damaged, foreign or hostile is refused in words.
#include "xsgit/session/codec.hpp"
#include "xsgit/session/frame.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"
#include "xsgit/session/writer.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace xsgit::session;
using namespace std::string_literals;

namespace {

const Meta kMeta{1795252800000001, "proxy", "C xenstored 4.17"};

Message message(std::uint32_t type, std::string payload)
{
    return {7, type, 3, 1, false, std::move(payload)};
}

std::vector<Record> sample()
{
    Request redacted{{7, 11, 4, 0, true, "/a\0xx"s}, "5 0"};
    return {{0, Start{true, 2}},
            {0, Node{"/", "n0", ""}},
            {0, Node{"/a", "b5,r0!", "\xff|v\n"}},
            {0, Opened{3, true, Transport::Ring, 5, std::nullopt, std::nullopt, ""}},
            {0, Watch{3, 2, "device", "token 1"}},
            {10, Opened{7, false, Transport::Socket, 0, 812, 0, "xl"}},
            {20, Request{message(2, "/a\0"s), ""}},
            {21, Reply{message(2, "v")}},
            {300, redacted},
            {301, Event{{3, 15, 0, 0, false, "/a\0token 1\0"s}}},
            {1'000'000, Dropped{12}},
            {1'000'001, Domains{"5 1f dead"}},
            {1'000'002, Note{"rotated"}},
            {90'000'000'000, Closed{7}},
            {90'000'000'000, End{"stopped"}}};
}

std::string written(const std::vector<Record> &records)
{
    std::string bytes;
    Writer w(kMeta, [&](std::string_view part) { bytes += part; });
    for (const Record &r : records)
        w.add(r);
    CHECK(w.bytes() == bytes.size());
    CHECK(w.records() == records.size() + 1);
    return bytes;
}

struct Read {
    std::vector<Record> records;
    std::string refused, damage;
    bool complete = false;
};

/// From an allocation of just this size, so that a sanitizer sees a byte too many; in pieces of `piece` bytes.
Read read_all(std::string_view data, std::size_t piece = 1 << 20)
{
    const std::vector<char> exact(data.begin(), data.end());
    std::string_view rest(exact.data(), exact.size());
    Read result;
    try {
        Reader r([&](char *to, std::size_t n) {
            n = rest.copy(to, std::min(n, piece));
            rest.remove_prefix(n);
            return n;
        });
        try {
            while (auto record = r.next())
                result.records.push_back(std::move(*record));
            CHECK(!r.next());
        } catch (const SessionDamaged &e) {
            result.damage = e.what();
            CHECK_THROWS_AS(r.next(), SessionDamaged);
        }
        result.complete = r.complete();
    } catch (const NotASession &e) {
        result.refused = e.what();
    }
    return result;
}

/// `bytes` and one record of this kind and body, its check correct.
std::string with_record(std::string bytes, std::uint8_t kind, const std::string &body)
{
    std::uint32_t before = 0;
    for (std::size_t i = 0; i < 4; ++i)
        before |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[bytes.size() - 4 + i]))
                  << (8 * i);
    std::string record(1, static_cast<char>(kind));
    put_varint(record, body.size());
    record += body;
    const std::uint32_t check = check_of(before, record);
    for (std::size_t i = 0; i < 4; ++i)
        record += static_cast<char>(check >> (8 * i));
    return bytes + record;
}

bool contains(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("session: what is written is read back, in whatever pieces it comes")
{
    const auto records = sample();
    const std::string bytes = written(records);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
        const Read r = read_all(bytes, piece);
        CHECK(r.records == records);
        CHECK(r.complete);
        CHECK(r.damage.empty());
    }
    CHECK(Reader(bytes).meta() == kMeta);
    CHECK(bytes.size() < 350); // compact: 16 records
}

TEST_CASE("session: a record can be read as soon as it is written")
{
    std::string bytes;
    Writer w(kMeta, [&](std::string_view part) { bytes += part; });
    std::size_t given = 0;
    Reader r([&](char *to, std::size_t n) {
        REQUIRE(given < bytes.size()); // a reader that wants more would wait for ever
        n = std::string_view(bytes).substr(given).copy(to, n);
        given += n;
        return n;
    });
    for (const Record &record : sample()) {
        w.add(record);
        CHECK(r.next() == record);
    }
}

TEST_CASE("session: cut anywhere, what is before is read")
{
    const auto records = sample();
    const std::string bytes = written(records);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const Read r = read_all(std::string_view(bytes).substr(0, n));
        CHECK(!r.complete);
        if (!r.refused.empty()) {
            CHECK(n < 16 + 50);
            CHECK(r.records.empty());
            continue;
        }
        CHECK(r.records.size() < records.size());
        CHECK(std::equal(r.records.begin(), r.records.end(), records.begin()));
        if (!r.damage.empty())
            CHECK(contains(r.damage, "cut off"));
    }
}

TEST_CASE("session: any changed bit is found, and what is before it is read")
{
    const auto records = sample();
    const std::string bytes = written(records);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string changed = bytes;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
        const Read r = read_all(changed);
        CHECK(!(r.refused.empty() && r.damage.empty()));
        CHECK(std::equal(r.records.begin(), r.records.end(), records.begin()));
    }
}

TEST_CASE("session: a record that was taken out is missed")
{
    std::string bytes;
    std::vector<std::size_t> ends;
    Writer w(kMeta, [&](std::string_view part) {
        bytes += part;
        ends.push_back(bytes.size());
    });
    for (const Record &r : sample())
        w.add(r);
    const Read r = read_all(bytes.substr(0, ends[5]) + bytes.substr(ends[6]));
    CHECK(r.records.size() == 5);
    CHECK(contains(r.damage, "record 7 at byte "));
    CHECK(contains(r.damage, "missing"));
}

TEST_CASE("session: what is none is refused in words")
{
    CHECK(contains(read_all("").refused, "no session"));
    CHECK(contains(read_all("#!/bin/sh\necho this is something else\n").refused, "no session"));
    std::string newer = written({});
    newer[8] = 2;
    CHECK(contains(read_all(newer).refused, "version 2"));
    CHECK(contains(read_all(written({}).substr(0, 12)).refused, "cut off"));
}

TEST_CASE("session: hostile records end the reading, optional ones are skipped")
{
    const std::string bytes = written({{0, Opened{1, false, {}, {}, {}, {}, ""}}});
    CHECK(contains(read_all(with_record(bytes, 99, "\0"s)).damage, "kind, 99, is not known"));
    CHECK(read_all(with_record(with_record(bytes, 0xf3, "\5more"s), 3, "\0\1"s)).records.size() == 2);
    CHECK(contains(read_all(with_record(bytes, 3, "\0\2"s)).damage, "connection 2 is not open"));
    CHECK(contains(read_all(with_record(bytes, 2, "\0\1\0\0\0\0\0\0"s)).damage, "open already"));
    CHECK(contains(read_all(with_record(bytes, 10, "\0\0\0\0"s)).damage, "where none was announced"));
    CHECK(contains(read_all(with_record(with_record(bytes, 9, "\0\1\5"s), 3, "\0\1"s)).damage, "5 nodes"));
    CHECK(contains(read_all(with_record(bytes, 1, "\0\0\0\0"s)).damage, "second description"));
    CHECK(contains(read_all(with_record(bytes, 3, "\0"s)).damage, "middle of a number"));
    CHECK(contains(read_all(with_record(bytes, 128, "\0\xff\xff\xff\xff\x0f"s)).damage, "1024 are the most"));
    CHECK(contains(read_all(with_record(bytes, 128, "\0\x20xy"s)).damage, "only 2 are left"));
    CHECK(contains(read_all(with_record(bytes, 3, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s)).damage,
                   "64 bits"));
    CHECK(read_all(with_record(with_record(bytes, 0xf3, "\5more"s), 3, "\2\1"s)).records.back().at_us == 7);
    CHECK(contains(read_all(with_record(bytes, 0xf3, "")).damage, "middle of a number"));
    CHECK(contains(read_all(with_record(bytes, 0xf3, "\x80\x80\x9a\xa6\xea\xaf\xe3\x02"s)).damage,
                   "is the most"));
    CHECK(contains(read_all(bytes + "\x03\xff\xff\xff\xff\xff").damage, "length"));
    CHECK(contains(read_all(bytes + "\x03\xff\xff\xff\x0f\0"s).damage, "32768 are the most"));
    CHECK(contains(read_all(with_record(with_record(bytes, 12, "\0\0"s), 3, "\0\1"s)).damage,
                   "behind the end"));
    // bytes behind what is known belong to a newer writer
    CHECK(read_all(with_record(bytes, 3, "\0\1more"s)).records.size() == 2);
}

TEST_CASE("session: the writer refuses what no reader would take, and goes on")
{
    std::string bytes;
    Writer w(kMeta, [&](std::string_view part) { bytes += part; });
    w.add(5, Opened{1, false, {}, {}, {}, {}, ""});
    CHECK_THROWS_AS(w.add(6, Closed{2}), NotWritable);
    CHECK_THROWS_AS(w.add(6, Note{std::string(kWordsMax + 1, 'x')}), NotWritable);
    CHECK_THROWS_AS(w.add(6, kMeta), NotWritable);
    CHECK_THROWS_AS(w.add(kTimeMax + 1, Closed{1}), NotWritable);
    w.add(3, Closed{1}); // the clock went back
    CHECK(read_all(bytes).records ==
          std::vector<Record>{{5, Opened{1, false, {}, {}, {}, {}, ""}}, {5, Closed{1}}});
}

TEST_CASE("session: lines for people and grep")
{
    std::vector<std::string> lines;
    for (const Record &r : sample())
        lines.push_back(line(r));
    CHECK(lines == std::vector<std::string>{
                       "0.000000 start 2 nodes",
                       "0.000000 node / = \"\" (n0)",
                       "0.000000 node /a = \"\\xff|v\\n\" (b5,r0!)",
                       "0.000000 c3 was-open ring d5",
                       "0.000000 c3 was-watching device|token 1  (depth 2)",
                       "0.000010 c7 open socket d0 pid 812 uid 0 xl",
                       "0.000020 c7 request 3 tx1 READ /a|",
                       "0.000021 c7 reply 3 tx1 READ v",
                       "0.000300 c7 request 4 WRITE (redacted) /a|xx  (5 0)",
                       "0.000301 c3 event /a|token 1|",
                       "1.000000 dropped 12",
                       "1.000001 domains 5 1f dead",
                       "1.000002 note rotated",
                       "90000.000000 c7 close",
                       "90000.000000 end stopped",
                   });
    CHECK(line({0, kMeta}) == "0.000000 session @1795252800.000001 proxy C xenstored 4.17");
    CHECK(payload_text("a|b\0\\\x80"s) == "a\\x7cb|\\\\\\x80");
    CHECK(type_text(99) == "#99");
}
