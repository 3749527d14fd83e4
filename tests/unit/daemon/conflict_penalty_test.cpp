// SPDX-License-Identifier: MIT
#include "server/daemon/conflict_penalty.hpp"

#include <algorithm>
#include <doctest/doctest.h>

using xsgit::server::ConflictPenalty;

namespace {

/// Tries that a transaction of `ms` milliseconds needs while domain 5 writes to what it reads whenever it may.
int tries(ConflictPenalty &penalty, std::int64_t &now, std::int64_t ms)
{
    for (int n = 1; n < 1000; ++n) {
        bool disturbed = false;
        for (const std::int64_t end = now + ms; now < end; ++now)
            if (penalty.wait_ms(5, now) == 0) {
                penalty.wrote(5, now);
                disturbed = true;
            }
        if (!disturbed)
            return n;
        penalty.caused(5, now);
    }
    return 1000;
}

void write_much(ConflictPenalty &penalty, std::int64_t now)
{
    for (std::size_t i = 0; i < ConflictPenalty::kBusy; ++i)
        penalty.wrote(5, now);
}

} // namespace

TEST_CASE("conflict penalty: who writes now and then is guilty only if no transaction succeeds")
{
    ConflictPenalty penalty;
    std::int64_t now = 1'000'000;
    for (int i = 0; i < 100; ++i) {
        penalty.wrote(5, now += 500);
        penalty.caused(5, now);
        CHECK(penalty.wait_ms(5, now) == 0);
        if (i % 4 == 3)
            penalty.succeeded();
    }
    ConflictPenalty strict;
    int failures = 0;
    for (; strict.wait_ms(5, now) == 0 && failures < 100; ++failures) {
        strict.wrote(5, now += 500);
        strict.caused(5, now);
    }
    CHECK(failures <= 12);
    for (int i = 0; i < 10; ++i) {
        penalty.wrote(5, now += 100);
        penalty.caused(5, now);
    }
    CHECK(penalty.wait_ms(5, now) > 0);
}

TEST_CASE("conflict penalty: transactions of almost a second succeed beside somebody who always writes")
{
    for (const std::int64_t ms : {1, 20, 50, 300, 900}) {
        ConflictPenalty penalty;
        std::int64_t now = 1'000'000;
        CAPTURE(ms);
        CHECK(tries(penalty, now, ms) <= 12);
        // And from then on there is a short way.
        int most = 0;
        for (int i = 0; i < 20; ++i)
            most = std::max(most, tries(penalty, now, ms));
        CHECK(most <= 12);
    }
}

TEST_CASE("conflict penalty: some conflicts now and then cost nothing")
{
    ConflictPenalty penalty;
    std::int64_t now = 1'000'000;
    write_much(penalty, now);
    for (int i = 0; i < 5; ++i)
        penalty.caused(5, now);
    CHECK(penalty.wait_ms(5, now) == 0);
    for (int i = 0; i < 100; ++i) {
        now += ConflictPenalty::kFreeEveryMs;
        write_much(penalty, now);
        penalty.caused(5, now);
        CHECK(penalty.wait_ms(5, now) == 0);
    }
    penalty.caused(5, now);
    CHECK(penalty.wait_ms(5, now) == ConflictPenalty::kFirstMs);
    CHECK(penalty.wait_ms(6, now) == 0);
    CHECK(penalty.wait_ms(5, now + ConflictPenalty::kFirstMs) == 0);
}

TEST_CASE("conflict penalty: it grows, and is forgotten after a quiet time")
{
    ConflictPenalty penalty;
    std::int64_t now = 1'000'000;
    write_much(penalty, now);
    for (int i = 0; i < 5; ++i)
        penalty.caused(5, now);
    for (const std::int64_t ms : {50, 200, 800, 1000}) {
        penalty.caused(5, now);
        CHECK(penalty.wait_ms(5, now) == ms);
        penalty.caused(5, now); // of the same write
        CHECK(penalty.wait_ms(5, now) == ms);
        now += ms;
    }
    now += 60'000;
    for (int i = 0; i < 6; ++i)
        penalty.caused(5, now);
    CHECK(penalty.wait_ms(5, now) == ConflictPenalty::kFirstMs);
    penalty.forget(5);
    CHECK(penalty.wait_ms(5, now) == 0);
}
