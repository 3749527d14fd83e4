// SPDX-License-Identifier: MIT
#include "xsgit/git/delta.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;

namespace {

std::string random_bytes(std::mt19937 &random, std::size_t n)
{
    std::string s(n, '\0');
    for (char &c : s)
        c = static_cast<char>(random());
    return s;
}

} // namespace

TEST_CASE("delta: a hole of twenty bytes costs about thirty")
{
    std::mt19937 random(1);
    const std::string base = random_bytes(random, 5000);
    for (const std::size_t at : {0u, 1u, 7u, 8u, 2490u, 4979u, 4980u}) {
        std::string target = base, delta, back;
        target.replace(at, 20, random_bytes(random, 20));
        REQUIRE(make_delta(base, target, 100, delta));
        CHECK(delta.size() <= 36);
        REQUIRE(apply_delta(base, delta, back));
        CHECK(back == target);
    }
}

TEST_CASE("delta: several holes, each a few bytes more")
{
    std::mt19937 random(2);
    const std::string base = random_bytes(random, 5000);
    std::string target = base, delta, back;
    for (std::size_t at = 100; at < 5000; at += 500)
        target.replace(at, 20, random_bytes(random, 20));
    REQUIRE(make_delta(base, target, 400, delta));
    CHECK(delta.size() < 10 * 30);
    REQUIRE(apply_delta(base, delta, back));
    CHECK(back == target);
}

TEST_CASE("delta: random edits come back")
{
    std::mt19937 random(3);
    for (int round = 0; round < 3000; ++round) {
        std::string base = random_bytes(random, random() % 300);
        if (round % 3 == 0)
            base.assign(base.size(), 'x'); // runs that overlap
        std::string target = base, delta, back;
        for (unsigned edits = random() % 4; edits--;) {
            const std::size_t at = target.empty() ? 0 : random() % target.size();
            target.replace(at, random() % 30, random_bytes(random, random() % 30));
        }
        REQUIRE(make_delta(base, target, 100000, delta));
        REQUIRE(apply_delta(base, delta, back));
        REQUIRE(back == target);
        const std::size_t size = delta.size();
        std::string exact;
        CHECK(make_delta(base, target, size, exact));
        CHECK_FALSE(make_delta(base, target, size - 1, exact));
    }
}

TEST_CASE("delta: copies and inserts longer than one instruction")
{
    std::mt19937 random(4);
    const std::string base = random_bytes(random, 200'000);
    std::string delta, back;
    std::string target = base + random_bytes(random, 1000);
    target[150'000] ^= 1;
    REQUIRE(make_delta(base, target, 1 << 20, delta));
    REQUIRE(apply_delta(base, delta, back));
    CHECK(back == target);
    REQUIRE(make_delta("", target, 1 << 20, delta));
    REQUIRE(apply_delta("", delta, back));
    CHECK(back == target);
    REQUIRE(make_delta(target, "", 1 << 20, delta));
    REQUIRE(apply_delta(target, delta, back));
    CHECK(back.empty());
}

TEST_CASE("apply_delta: damaged deltas are refused or harmless")
{
    std::mt19937 random(5);
    const std::string base = random_bytes(random, 400);
    std::string target = base, delta, back;
    target.replace(50, 20, random_bytes(random, 20));
    REQUIRE(make_delta(base, target, 1000, delta));
    for (std::size_t n = 0; n < delta.size(); ++n)
        CHECK_FALSE(apply_delta(base, delta.substr(0, n), back));
    CHECK_FALSE(apply_delta(base.substr(1), delta, back));
    CHECK_FALSE(apply_delta(base, delta + '\0', back));
    for (int round = 0; round < 20000; ++round) {
        std::string bad = delta;
        bad[random() % bad.size()] = static_cast<char>(random());
        if (apply_delta(base, bad, back))
            CHECK(back.size() < 100000); // under -fsanitize=address: and nothing was read beside the base
    }
}
