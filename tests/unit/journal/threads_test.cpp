// SPDX-License-Identifier: MIT
// The journal as a queue between threads. Run it under ThreadSanitizer, too:
// meson setup build-tsan -Db_sanitize=thread -Db_lundef=false
#include "support.hpp"

#include <atomic>
#include <thread>

using namespace xsgit;
using namespace xsgit::test;

#ifdef XSGIT_TSAN
static constexpr std::uint64_t kEvents = 30'000;
#else
static constexpr std::uint64_t kEvents = 300'000;
#endif

TEST_CASE("threads: an appender, a reader that frees, and a tool that looks on")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    auto j = Journal::create(path, kRing);
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> full{0}, seen_by_tool{0}, overtaken{0}, bad{0};

    std::thread reader([&] {
        Journal::Position p;
        while (p.number <= kEvents) {
            j->wait(p, 1'000'000);
            // At most a quarter of a ring is read before it is freed.
            for (const std::uint64_t stop = p.offset + kRing / 4; p.offset < stop;) {
                const auto e = j->next(p);
                if (!e)
                    break;
                bad += !is_sample(*e);
            }
            j->free_to(p);
        }
    });
    std::thread tool([&] {
        const auto ro = Journal::open(path, true);
        Journal::Position p = ro->tail();
        while (!done) {
            try {
                while (const auto e = ro->next(p)) {
                    bad += !is_sample(*e) || e->number != p.number - 1;
                    ++seen_by_tool;
                }
                ro->wait(p, 100);
            } catch (const JournalOvertaken &) {
                ++overtaken;
                p = ro->tail();
            }
        }
    });
    // Opens beside the writer, again and again: the header must always look good.
    std::thread opener([&] {
        while (!done) {
            const auto ro = Journal::open(path, true);
            const auto tail = ro->tail(), head = ro->head();
            bad += head.offset < tail.offset || head.number < tail.number;
        }
    });
    for (std::uint64_t n = 1; n <= kEvents;) {
        if (append_next(*j)) {
            ++n;
        } else {
            ++full;
            std::this_thread::yield();
        }
    }
    reader.join();
    done = true;
    tool.join();
    opener.join();
    MESSAGE("full ", full.load(), " times, tool saw ", seen_by_tool.load(), ", overtaken ", overtaken.load());
    CHECK(bad == 0);
    CHECK(seen_by_tool > 0);
    CHECK(j->tail() == j->head());
    CHECK(j->next_number() == kEvents + 1);
}

TEST_CASE("threads: no wake-up is lost")
{
    // One event at a time: a lost wake-up would cost the full timeout.
    const TempDir dir;
    auto there = Journal::create(dir / "there", kRing), back = Journal::create(dir / "back", kRing);
    constexpr std::uint64_t kRounds = 5'000;
    constexpr std::int64_t kTimeout = 30'000'000;
    std::atomic<bool> late{false};
    const auto receive = [&](Journal &j, Journal::Position &p) {
        const auto start = std::chrono::steady_clock::now();
        while (!j.next(p))
            j.wait(p, kTimeout);
        if (std::chrono::steady_clock::now() - start > std::chrono::microseconds(kTimeout))
            late = true;
        j.free_to(p);
    };
    std::thread echo([&] {
        Journal::Position p;
        for (std::uint64_t i = 0; i < kRounds; ++i) {
            receive(*there, p);
            append_next(*back);
        }
    });
    Journal::Position p;
    for (std::uint64_t i = 0; i < kRounds; ++i) {
        REQUIRE(append_next(*there));
        receive(*back, p);
    }
    echo.join();
    CHECK_FALSE(late);
}

TEST_CASE("threads: a position cell is never seen half changed")
{
    PositionCell cell;
    cell.store({0, 0});
    std::atomic<bool> done{false};
    std::uint64_t torn = 0, back = 0;
    std::thread looker([&] {
        std::uint64_t last = 0;
        while (!done) {
            const JournalPosition p = cell.load();
            torn += p.number != p.offset * 3;
            back += p.offset < last;
            last = p.offset;
        }
    });
    for (std::uint64_t i = 1; i <= 2'000'000; ++i)
        cell.store({i, i * 3});
    done = true;
    looker.join();
    CHECK(torn == 0);
    CHECK(back == 0);
}
