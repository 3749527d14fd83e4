// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <system_error>
#include <thread>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// Reads everything from `p`; the numbers and bytes must be those of the samples.
void read_all(const Journal &j, Journal::Position &p)
{
    while (const auto e = j.next(p)) {
        CHECK(e->number == p.number - 1);
        CHECK(is_sample(*e));
    }
    CHECK(p == j.head());
}

Event sized(const std::string &wire, std::size_t record)
{
    Event e;
    e.kind = EventKind::Request;
    e.wire = std::string_view(wire).substr(0, record - kRecordHeader);
    return e;
}

} // namespace

TEST_CASE("journal: events come back, also after reopening")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    {
        auto j = Journal::create(path, kRing);
        CHECK(j->next_number() == 1);
        CHECK(j->bytes_used() == 0);
        CHECK(j->capacity() == kRing);
        for (int i = 0; i < 1000; ++i)
            REQUIRE(append_next(*j));
        Journal::Position p;
        read_all(*j, p);
        CHECK(p.number == 1001);
        CHECK(j->bytes_used() == p.offset);
    }
    struct stat st;
    REQUIRE(::stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    CHECK(st.st_size == kHeaderPage + kRing);
    CHECK(st.st_blocks * 512 >= st.st_size); // allocated
    CHECK_FALSE(std::filesystem::exists(path + ".new"));

    auto j = Journal::open(path);
    CHECK(j->repair() == "");
    CHECK(j->next_number() == 1001);
    Journal::Position p = j->tail();
    read_all(*j, p);
    CHECK(p.number == 1001);
    REQUIRE(append_next(*j));
    read_all(*j, p);
    CHECK(p.number == 1002);
}

TEST_CASE("journal: create refuses bad sizes and never replaces")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    CHECK_THROWS_AS(Journal::create(path, kRing - 4096), std::system_error);
    CHECK_THROWS_AS(Journal::create(path, kRing + 8), std::system_error);
    CHECK_THROWS_AS(Journal::create(dir / "no/journal", kRing), std::system_error);
    poke(path + ".new", 0, "left by a killed start");
    REQUIRE(append_next(*Journal::create(path, kRing)));
    CHECK_THROWS_AS(Journal::create(path, kRing), std::system_error);
    CHECK(Journal::open(path)->next_number() == 2);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("journal: one that goes on where another ended")
{
    const TempDir dir;
    const Journal::Position start{3 * kRing - 8, 77};
    auto j = Journal::create(dir / "journal", kRing, start);
    CHECK(j->tail() == start);
    CHECK(j->head() == start);
    for (int i = 0; i < 100; ++i)
        REQUIRE(append_next(*j));
    Journal::Position p = start;
    read_all(*j, p);
    CHECK(p.number == 177);
}

TEST_CASE("journal: round and round")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    Journal::Position p;
    std::uint64_t bytes = 0;
    for (int round = 0; bytes < 24u << 20; ++round) {
        const std::uint64_t before = j->head().offset;
        for (std::uint64_t n = mix(static_cast<std::uint64_t>(round)) % 2000; n > 0 && append_next(*j); --n)
            ;
        bytes += j->head().offset - before;
        read_all(*j, p);
        j->free_to(p);
        CHECK(j->bytes_used() == 0);
        if (round % 7 == 0) {
            j = nullptr;
            j = Journal::open(path);
            CHECK(j->repair() == "");
        }
    }
    CHECK(j->head().offset > 24u << 20);
}

TEST_CASE("journal: the end of the ring, with every remainder")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    const std::string wire(kRecordMax, 'w');
    // The first record is filler up to the remainder, then come the largest, a small one, one that
    // fits exactly, ...
    for (std::size_t rest = 0; rest <= 256; rest += 8) {
        std::filesystem::remove(path);
        auto j = Journal::create(path, kRing, {kRing - rest, 5});
        Journal::Position p = j->tail();
        for (const std::size_t size : {std::size_t{128}, kRecordMax, std::size_t{72}})
            REQUIRE(j->append(sized(wire, size)));
        for (const std::size_t size : {std::size_t{128}, kRecordMax, std::size_t{72}}) {
            const auto e = j->next(p);
            REQUIRE(e);
            CHECK(record_size(*e) == size);
        }
        CHECK_FALSE(j->next(p));
        CHECK(j->head().offset ==
              kRing + (rest >= 128 ? 0 : 128) + (rest >= 128 + kRecordMax ? 0 : kRecordMax) + 72);
        CHECK(Journal::open(path)->repair() == "");
    }
}

TEST_CASE("journal: a full ring refuses and nothing changes")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    const std::string wire(8192, 'w');
    // Once with a record that fits exactly at the end, once with a rest that is too short.
    for (const std::size_t size : {std::size_t{4096}, std::size_t{1000}}) {
        std::filesystem::remove(path);
        auto j = Journal::create(path, kRing);
        std::size_t n = 0;
        for (; j->append(sized(wire, size)); ++n)
            CHECK(j->has_room(72) == (kRing - (n + 1) * size >= 72));
        CHECK(n == kRing / size);
        const std::string before = read_file(path);
        CHECK_FALSE(j->append(sized(wire, size)));
        CHECK_FALSE(j->has_room(size));
        CHECK_FALSE(j->has_room());
        CHECK(read_file(path) == before);
        CHECK(j->next_number() == n + 1);

        Journal::Position p;
        for (std::size_t i = 0; i < n; ++i)
            REQUIRE(j->next(p));
        CHECK_FALSE(j->next(p));
        // The first one freed leaves room for one as large, at the beginning of the ring.
        p = {};
        REQUIRE(j->next(p));
        j->free_to(p);
        CHECK_FALSE(j->append(sized(wire, size + 8)));
        CHECK(j->append(sized(wire, size)));
        CHECK(j->head().offset == kRing + size);
        CHECK_FALSE(j->has_room(72));
        CHECK(j->repair() == "");
    }
}

TEST_CASE("journal: freeing backwards or twice does nothing")
{
    const TempDir dir;
    auto j = Journal::create(dir / "journal", kRing);
    Journal::Position p, first;
    for (int i = 0; i < 3; ++i)
        REQUIRE(append_next(*j));
    REQUIRE(j->next(p));
    first = p;
    REQUIRE(j->next(p));
    j->free_to(p);
    j->free_to(first);
    j->free_to(p);
    CHECK(j->tail() == p);
    CHECK_THROWS_AS(j->next(first), JournalOvertaken);
}

TEST_CASE("journal: every flipped bit of a record is found, and repair cuts there")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    for (int i = 0; i < 3; ++i)
        REQUIRE(append_next(*j));
    Journal::Position second;
    REQUIRE(j->next(second));
    Journal::Position third = second;
    REQUIRE(j->next(third));
    const std::string good = read_file(path);
    for (std::size_t at = second.offset; at < third.offset; ++at)
        for (int bit = 0; bit <= 8; ++bit) {
            const auto flip = static_cast<char>(bit == 8 ? 0xff : 1 << bit);
            const std::string bad(1, static_cast<char>(good[kHeaderPage + at] ^ flip));
            poke(path, kHeaderPage + at, bad);
            Journal::Position p;
            REQUIRE(j->next(p));
            CHECK(p == second);
            CHECK_THROWS_AS(j->next(p), JournalDamaged);
            CHECK(p == second);
            poke(path, kHeaderPage + at, good.substr(kHeaderPage + at, 1));
        }
    Journal::Position p;
    read_all(*j, p);
    CHECK(p.number == 4);
}

TEST_CASE("journal: a torn record is found at every length, and repair cuts there")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    Journal::create(path, kRing);
    {
        auto j = Journal::open(path);
        for (int i = 0; i < 6; ++i)
            REQUIRE(append_next(*j));
    }
    const std::string good = read_file(path);
    Journal::Position from, to;
    {
        const auto j = Journal::open(path, true);
        for (int i = 0; i < 5; ++i)
            REQUIRE(j->next(from));
        to = from;
        REQUIRE(j->next(to));
    }
    for (std::size_t at = from.offset; at < to.offset; ++at) {
        std::string rest = good.substr(kHeaderPage + at, to.offset - at);
        if (std::all_of(rest.begin(), rest.end(), [](char c) { return c == 0; }))
            break; // the padding: nothing is missing
        poke(path, kHeaderPage + at, std::string(rest.size(), '\0'));
        auto j = Journal::open(path);
        CHECK(j->repair() != "");
        CHECK(j->head() == from);
        CHECK(j->next_number() == 6);
        CHECK(j->repair() == "");
        // It goes on as if the sixth had never been.
        REQUIRE(append_next(*j));
        Journal::Position p;
        read_all(*j, p);
        CHECK(p == to);
        j = nullptr;
        poke(path, 0, good);
    }
}

TEST_CASE("journal: a head in space never written ends a read and is cut by repair")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    Journal::create(path, kRing);
    PositionCell head;
    head.store({80000, 1001});
    poke(path, 64, std::string_view(reinterpret_cast<const char *>(&head), sizeof head));
    auto j = Journal::open(path);
    Journal::Position p;
    CHECK_THROWS_AS(j->next(p), JournalDamaged);
    CHECK(j->repair() == path + ": no record where event 1 should be, at 0; "
                                "the journal now ends with event 0, it had 1000");
    CHECK(j->head() == Journal::Position{});
    REQUIRE(append_next(*j));
    read_all(*j, p);
    CHECK(p.number == 2);
}

TEST_CASE("journal: a mark where no round ends is damage")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    for (int i = 0; i < 3; ++i)
        REQUIRE(append_next(*j));
    poke(path, kHeaderPage, "\xff\xff\xff\xff");
    Journal::Position p;
    CHECK_THROWS_AS(j->next(p), JournalDamaged);
    CHECK(j->repair() != "");
    CHECK(j->bytes_used() == 0);
}

TEST_CASE("journal: positions that are none")
{
    const TempDir dir;
    auto j = Journal::create(dir / "journal", kRing);
    for (int i = 0; i < 3; ++i)
        REQUIRE(append_next(*j));
    const auto refused = [&](Journal::Position p) {
        const Journal::Position before = p;
        CHECK_THROWS_AS(j->next(p), JournalDamaged);
        CHECK(p == before);
    };
    refused({0, 2});
    refused({8, 1});
    refused({4, 1});
    refused({j->head().offset, 3});
    refused({j->head().offset + 8, 4});
    refused({kRing, 1});
    refused({~std::uint64_t{7}, 1});
}

TEST_CASE("journal: a tool beside the daemon sees good events, the end, or that it was overtaken")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    const auto tool = Journal::open(path, true);
    Journal::Position p, q;
    CHECK_FALSE(tool->next(q));
    for (int i = 0; i < 500; ++i)
        REQUIRE(append_next(*j));
    REQUIRE(tool->next(q));
    read_all(*tool, q);

    // The view is a copy: it outlives the record.
    q = {};
    const auto first = tool->next(q);
    REQUIRE(first);
    for (int round = 0; round < 30; ++round) {
        while (j->next(p))
            ;
        j->free_to(p);
        while (append_next(*j))
            ;
    }
    CHECK(is_sample(*first));
    CHECK_THROWS_AS(tool->next(q), JournalOvertaken);
    CHECK(q.number == 2);
    q = tool->tail();
    read_all(*tool, q);
}

TEST_CASE("journal: wait")
{
    using Clock = std::chrono::steady_clock;
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    const auto tool = Journal::open(path, true);
    const auto waited = [](const Journal &who, Journal::Position seen, std::int64_t us) {
        const auto start = Clock::now();
        who.wait(seen, us);
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    constexpr std::int64_t kLong = 60'000'000;
    const auto in_a_while = [](auto what) {
        return std::thread([what] {
            std::this_thread::sleep_for(std::chrono::milliseconds(30));
            what();
        });
    };
    SUBCASE("the time passes")
    {
        CHECK(waited(*j, j->head(), 20'000) >= 0.02);
        CHECK(waited(*tool, j->head(), 20'000) >= 0.02);
        CHECK(waited(*j, j->head(), -1) < 20);
        CHECK(waited(*j, j->head(), 0) < 20);
    }
    SUBCASE("there is something already")
    {
        REQUIRE(append_next(*j));
        CHECK(waited(*j, {}, kLong) < 20);
        CHECK(waited(*tool, {}, kLong) < 20);
    }
    SUBCASE("something comes")
    {
        std::thread t = in_a_while([&] { append_next(*j); });
        const bool soon = waited(*j, {}, kLong) < 20;
        t.join();
        CHECK(soon);
        CHECK(j->next_number() == 2);
    }
    SUBCASE("something comes, seen by a tool")
    {
        std::thread t = in_a_while([&] { append_next(*j); });
        const bool soon = waited(*tool, {}, kLong) < 20;
        t.join();
        CHECK(soon);
    }
    SUBCASE("woken")
    {
        std::thread t = in_a_while([&] { j->wake(); });
        const bool soon = waited(*j, {}, kLong) < 20;
        t.join();
        CHECK(soon);
        CHECK(waited(*j, j->head(), 20'000) >= 0.02);
    }
    SUBCASE("woken before, with an append in between")
    {
        j->wake();
        const Journal::Position seen = (append_next(*j), j->head());
        CHECK(waited(*j, seen, kLong) < 20);
        CHECK(waited(*j, seen, 20'000) >= 0.02);
    }
}
