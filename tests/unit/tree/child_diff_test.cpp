// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// "-a", "+b", "~c", separated by blanks; what it cost in `visits`.
std::string differences(const Children &a, const Children &b, std::size_t *visits = nullptr)
{
    std::string out;
    ChildDiff d(a, b);
    while (d.next()) {
        const Node *n = d.before() ? d.before() : d.after();
        out += out.empty() ? "" : " ";
        out += !d.before() ? '+' : !d.after() ? '-' : '~';
        out += n->name();
    }
    CHECK_FALSE(d.next());
    if (visits)
        *visits = d.visits();
    return out;
}

} // namespace

TEST_CASE("child diff: nothing, or everything")
{
    const Children none, some = numbered(3);
    CHECK(differences(none, none) == "");
    CHECK(differences(some, some) == "");
    CHECK(differences(none, some) == "+n0 +n1 +n2");
    CHECK(differences(some, none) == "-n0 -n1 -n2");
}

TEST_CASE("child diff: another node of the same content differs")
{
    const Children a = numbered(3);
    CHECK(differences(a, a.with(node("n1"))) == "~n1");
    CHECK(differences(a, a.with(NodeRef(a.find("n1")))) == "");
}

TEST_CASE("child diff: unrelated versions of unlike size")
{
    const Children big = numbered(3000);
    Children small;
    for (const char *n : {"a", "n1500", "z"})
        small = small.with(node(n));
    const Children shared = Children().with(NodeRef(big.find("n1500")));
    std::size_t listed = 0, removed = 0;
    for (ChildDiff d(big, shared); d.next(); ++listed)
        removed += d.after() == nullptr;
    CHECK(listed == 2999);
    CHECK(removed == 2999);
    listed = 0;
    for (ChildDiff d(small, big); d.next();)
        ++listed;
    CHECK(listed == 3002);
}

TEST_CASE("child diff: one change among 10,000 looks at a few entries")
{
    const Children a = numbered(10000);
    // Each of the at most four levels: the entries before and after, passed one by one.
    const std::size_t most = 4 * 2 * 32;
    for (const char *n : {"n0", "n5", "n5000", "n9999"}) {
        std::size_t visits = 0;
        CHECK(differences(a, a.with(node(n, "x")), &visits) == std::string("~") + n);
        CHECK(visits <= most);
        CHECK(differences(a, a.without(n), &visits) == std::string("-") + n);
        CHECK(visits <= most);
        const std::string added = std::string(n) + "-new";
        CHECK(differences(a, a.with(node(added)), &visits) == "+" + added);
        CHECK(visits <= most);
    }
}

TEST_CASE("child diff: pages that split or join hide nothing and cost little")
{
    Children a = numbered(10000);
    std::size_t dearest = 0;
    for (int i = 0; i < 300; ++i) { // one place: many splits, then many joins
        const Children b = a.with(node("n5-" + std::to_string(i)));
        std::size_t visits = 0;
        CHECK(differences(a, b, &visits) == "+n5-" + std::to_string(i));
        dearest = std::max(dearest, visits);
        a = b;
    }
    for (int i = 0; i < 300; ++i) {
        const Children b = a.without("n5-" + std::to_string(i));
        std::size_t visits = 0;
        CHECK(differences(a, b, &visits) == "-n5-" + std::to_string(i));
        dearest = std::max(dearest, visits);
        a = b;
    }
    CHECK(dearest <= 4 * 4 * 32);
}

TEST_CASE("child diff: after a gap of many pages, what is shared is passed again")
{
    const Children a = numbered(50000);
    const auto all = names(a);
    for (const std::size_t gap : {100u, 3000u, 20000u}) {
        Children b = a;
        for (std::size_t i = 10000; i < 10000 + gap; ++i)
            b = std::move(b).without(all[i]);
        for (const bool back : {false, true}) {
            ChildDiff d(back ? b : a, back ? a : b);
            std::size_t listed = 0;
            while (d.next())
                ++listed;
            CHECK(listed == gap);
            // The gap's nodes and pages, and both borders on each of four levels.
            CHECK(d.visits() <= gap + gap / 12 + gap / 144 + 4 * 4 * 32);
        }
    }
}
