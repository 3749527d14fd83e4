// SPDX-License-Identifier: MIT
// The search against every place where the first bad one can be, and every kind of gap.
#include "bisect/search/search.hpp"

#include <bit>
#include <doctest/doctest.h>
#include <random>

using namespace xsgit::bisect;

namespace {

struct Result {
    std::size_t bad = 0, good = 0, asked = 0;
    std::set<std::size_t> skipped;
};

/// Places 0 to `first_bad` are bad, those behind it to `good` good.
template <class Skips>
Result run(std::size_t good, std::size_t first_bad, const Skips &skips)
{
    Search s(0, good);
    Result r;
    std::set<std::size_t> asked;
    while (const auto n = s.next()) {
        REQUIRE(*n > s.bad());
        REQUIRE(*n < s.good());
        REQUIRE(asked.insert(*n).second);
        REQUIRE(s.judge(*n, skips(*n) ? Verdict::Skip : *n <= first_bad ? Verdict::Bad : Verdict::Good));
    }
    CHECK(s.left() == 0);
    return {s.bad(), s.good(), asked.size(), s.skipped()};
}

} // namespace

TEST_CASE("every first bad place is found, in as few steps as there are bits")
{
    for (std::size_t good = 1; good <= 70; ++good)
        for (std::size_t first = 0; first < good; ++first) {
            const Result r = run(good, first, [](std::size_t) { return false; });
            CHECK(r.bad == first);
            CHECK(r.good == first + 1);
            CHECK(r.asked <= std::size_t(std::bit_width(good)));
        }
    const Result r = run(1'000'000, 345'678, [](std::size_t) { return false; });
    CHECK(r.bad == 345'678);
    CHECK(r.asked <= 20);
}

TEST_CASE("what cannot be judged is left out, and told where it matters")
{
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        const std::size_t good = random() % 60 + 1, first = random() % good;
        std::set<std::size_t> holes;
        for (std::size_t n = 1; n < good; ++n)
            if (random() % 3 == 0)
                holes.insert(n);
        const Result r = run(good, first, [&](std::size_t n) { return holes.contains(n); });
        CHECK(r.bad <= first);
        CHECK(r.good > first);
        CHECK(r.skipped.size() == r.good - r.bad - 1);
        for (const std::size_t n : r.skipped)
            CHECK(holes.contains(n));
        if (!holes.contains(first) && !holes.contains(first + 1))
            CHECK(r.good == r.bad + 1);
    }
}

TEST_CASE("a wide gap in the middle is left by large steps")
{
    const Result r = run(100'000, 90'000, [](std::size_t n) { return n > 49'000 && n < 51'000; });
    CHECK(r.bad == 90'000);
    CHECK(r.asked < 40);
}

TEST_CASE("contradictions")
{
    Search s(0, 100);
    CHECK(s.judge(40, Verdict::Bad));
    CHECK(s.judge(60, Verdict::Good));
    CHECK(s.left() == 19);
    CHECK(s.judge(30, Verdict::Bad));
    CHECK(s.judge(70, Verdict::Good));
    CHECK(s.judge(70, Verdict::Skip));
    CHECK(!s.judge(30, Verdict::Good));
    CHECK(!s.judge(70, Verdict::Bad));
    CHECK(s.bad() == 40);
    CHECK(s.good() == 60);
}
