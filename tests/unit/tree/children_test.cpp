// SPDX-License-Identifier: MIT
#include "xsgit/tree/children.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace xsgit;
using namespace xsgit::test;

TEST_CASE("children: none")
{
    const Children c;
    CHECK(c.empty());
    CHECK(c.size() == 0);
    CHECK(c.names_bytes() == 0);
    CHECK(c.names_hash() == 0);
    CHECK(c.find("a") == nullptr);
    CHECK(c.begin().get() == nullptr);
    CHECK(c.at_names_offset(0).get() == nullptr);
    CHECK(c.without("a").same(c));
}

TEST_CASE("children: sorted by bytes, also beyond the eight that pages keep")
{
    std::vector<std::string> all = {
        "B",           "a",         "aa",      "feature-", "feature-a", "feature-gso-tcpv4",
        "feature-gso", "feature-b", "abcdefg", "abcdefgh", "abcdefghi", "abcdefgh-",
        "1",           "10",        "2",       "_",        "@",         "-"};
    Children c;
    for (const auto &n : all)
        c = c.with(node(n));
    std::sort(all.begin(), all.end());
    CHECK(names(c) == all);
    for (const auto &n : all) {
        REQUIRE(c.find(n));
        CHECK(c.find(n)->name() == n);
    }
    for (const char *n :
         {"", "b", "feature", "feature-gs", "feature-gso-tcpv", "feature-gso-tcpv6", "abcdef", "abcdefghj"})
        CHECK(c.find(n) == nullptr);
}

TEST_CASE("children: replacing keeps the names' sums, adding and removing restores them")
{
    const Children a = numbered(100);
    const Children b = a.with(node("n7", "new"));
    CHECK(b.size() == 100);
    CHECK(b.find("n7")->value() == "new");
    CHECK(a.find("n7")->value() == "");
    CHECK(a.names_hash() == b.names_hash());
    CHECK(a.names_bytes() == 10 * 3 + 90 * 4);
    const Children c = b.with(node("other"));
    CHECK(c.names_bytes() == a.names_bytes() + 6);
    CHECK(c.names_hash() != a.names_hash());
    CHECK(c.without("other").names_hash() == a.names_hash());
    CHECK(a.without("none").same(a));
}

TEST_CASE("children: the hash does not depend on the order in which names came")
{
    Children a, b;
    for (int i = 0; i < 1000; ++i)
        a = a.with(node(std::to_string(i)));
    for (int i = 999; i >= 0; --i)
        b = b.with(node(std::to_string(i)));
    CHECK(a.names_hash() == b.names_hash());
    CHECK(names(a) == names(b));
}

TEST_CASE("children: every offset into the list of names")
{
    for (const std::size_t n : {1u, 5u, 32u, 33u, 500u}) {
        const Children c = numbered(n);
        const auto all = names(c);
        std::size_t i = 0, begins = 0; // name i begins there
        for (std::size_t offset = 0; offset <= c.names_bytes() + 1; ++offset) {
            if (i < all.size() && offset > begins)
                begins += all[i++].size() + 1;
            const Node *at = c.at_names_offset(offset).get();
            if (i < all.size()) {
                REQUIRE(at);
                CHECK(at->name() == all[i]);
            } else {
                CHECK(at == nullptr);
            }
        }
    }
}

TEST_CASE("children: a cursor goes on to the end from an offset")
{
    const Children c = numbered(2000);
    const auto all = names(c);
    std::size_t offset = 0;
    for (std::size_t i = 0; i < 1234; ++i)
        offset += all[i].size() + 1;
    std::vector<std::string> rest;
    for (auto it = c.at_names_offset(offset); it.get(); it.next())
        rest.emplace_back(it.get()->name());
    CHECK(rest == std::vector<std::string>(all.begin() + 1234, all.end()));
}

TEST_CASE("children: one of 10,000 costs a page per level, as one of ten costs a page")
{
    // Pages are copied whole, so the number and size of allocations is what a change costs.
    const Children few = numbered(10), many = numbered(10000), lots = numbered(100000);
    const auto cost = [](const Children &c, auto change) {
        const NodeRef changed = node("n5", "changed"), added = node("n5-new");
        const Allocations a;
        const Children after = change(c, changed, added);
        CHECK_FALSE(after.same(c));
        return std::pair(a.count(), a.bytes());
    };
    const auto replace = [](const Children &c, const NodeRef &n, const NodeRef &) { return c.with(n); };
    const auto insert = [](const Children &c, const NodeRef &, const NodeRef &n) { return c.with(n); };
    const auto erase = [](const Children &c, const NodeRef &, const NodeRef &) { return c.without("n5"); };

    const std::size_t page = 48 + 32 * 16;
    CHECK(cost(few, replace).first == 1);
    CHECK(cost(few, insert).first == 1);
    CHECK(cost(few, erase).first == 1);
    CHECK(cost(many, replace).first <= 4);
    CHECK(cost(many, replace).second <= 4 * page);
    CHECK(cost(lots, replace).first <= 5);
    CHECK(cost(lots, replace).second <= 5 * page);
    // A split or a join adds one page per level.
    CHECK(cost(many, insert).first <= 8);
    CHECK(cost(many, erase).first <= 8);
    CHECK(cost(lots, insert).first <= 10);
    CHECK(cost(lots, erase).first <= 10);
}

TEST_CASE("children: what nobody else holds is changed in place")
{
    Children c = numbered(10000);
    const NodeRef changed = node("n5", "changed");
    {
        const Allocations a;
        c = std::move(c).with(changed);
        CHECK(a.count() == 0);
    }
    CHECK(c.find("n5") == changed.get());
    const Children kept = c;
    const NodeRef again = node("n5", "again");
    {
        const Allocations a;
        c = std::move(c).with(again);
        CHECK(a.count() > 0); // the other holder must not see it
    }
    CHECK(kept.find("n5") == changed.get());
    CHECK(c.find("n5") == again.get());
}

TEST_CASE("children: pages stay filled when children go")
{
    // Entries seen by a comparison with nothing: all nodes, and all pages but the root.
    const auto pages = [](const Children &c) {
        ChildDiff d(Children(), c);
        while (d.next()) {
        }
        return d.visits() - c.size();
    };
    Random random(seed());
    INFO("XSGIT_TEST_SEED=", seed());
    Children c = numbered(20000);
    std::vector<std::string> left = names(c);
    while (left.size() > 40) {
        const std::size_t i = random.below(left.size());
        c = random.one_in(2) ? std::move(c).without(left[i]) : c.without(left[i]);
        left[i] = left.back();
        left.pop_back();
        if (left.size() % 1000 == 40) // at least 12 entries in each page
            CHECK(pages(c) <= left.size() / 12 + left.size() / 144 + left.size() / 1728 + 1);
    }
    CHECK(c.size() == 40);
    while (!left.empty()) {
        c = c.without(left.back());
        left.pop_back();
    }
    CHECK(c.empty());
    CHECK(c.same(Children()));
}
