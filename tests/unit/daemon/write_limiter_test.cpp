// SPDX-License-Identifier: MIT
#include "server/daemon/write_limiter.hpp"

#include <doctest/doctest.h>

using xsgit::server::WriteLimiter;

namespace {

/// Commits of `domid` in `ms` milliseconds, if it writes whenever it may.
int flood(WriteLimiter &limiter, std::uint32_t domid, std::size_t guests, std::int64_t from_ms,
          std::int64_t ms)
{
    int n = 0;
    for (std::int64_t now = from_ms; now < from_ms + ms; ++now)
        while (limiter.wait_ms(domid, guests, now) == 0) {
            limiter.charge(domid, guests, now);
            ++n;
        }
    return n;
}

} // namespace

TEST_CASE("write limiter: a burst, then the common rate")
{
    WriteLimiter limiter;
    const int burst = flood(limiter, 5, 100, 1'000'000, 1);
    CHECK(burst >= WriteLimiter::kMostReserve + WriteLimiter::kMost);
    CHECK(burst <= WriteLimiter::kMostReserve + WriteLimiter::kMost + 2);
    // Alone among a hundred it gets what the others do not need.
    const int later = flood(limiter, 5, 100, 1'000'001, 10'000);
    CHECK(later > 1900);
    CHECK(later < 2100);
    CHECK(limiter.wait_ms(5, 100, 1'010'001) > 0);
}

TEST_CASE("write limiter: a flood takes nothing from those who write little")
{
    WriteLimiter limiter;
    flood(limiter, 5, 10, 1'000'000, 5'000);
    for (int i = 0; i < 10; ++i) {
        CHECK(limiter.wait_ms(7, 10, 1'005'000) == 0);
        limiter.charge(7, 10, 1'005'000);
    }
    CHECK(limiter.credit(7) <= 1);
    CHECK(limiter.wait_ms(8, 10, 1'005'000) == 0);
    // Its share is its own, whatever the other does: 20 a second.
    flood(limiter, 5, 10, 1'005'000, 1'000);
    CHECK(limiter.credit(7) > 5);
}

TEST_CASE("write limiter: credit comes back, and a dead guest is forgotten")
{
    WriteLimiter limiter;
    const auto exhaust = [&](std::int64_t now) {
        for (int i = 0; i < WriteLimiter::kMost + WriteLimiter::kMostReserve + 20; ++i)
            limiter.charge(5, 1, now);
    };
    exhaust(1'000'000);
    CHECK(limiter.wait_ms(5, 1, 1'000'000) > 0);
    CHECK(limiter.wait_ms(5, 1, 1'000'050) > 0);
    CHECK(limiter.wait_ms(5, 1, 1'000'150) == 0); // 20 credits in 100 ms
    exhaust(1'000'200);
    CHECK(limiter.wait_ms(5, 1, 1'000'200) > 0);
    limiter.forget(5);
    CHECK(limiter.wait_ms(5, 1, 1'000'200) == 0);
    CHECK(limiter.credit(5) == WriteLimiter::kMost);
}
