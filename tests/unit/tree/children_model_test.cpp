// SPDX-License-Identifier: MIT
// Children against std::map under random operations; versions that are kept must
// not change, whether their successors were made by copy or in place.
#include "xsgit/tree/children.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace xsgit;
using namespace xsgit::test;

namespace {

using Model = std::map<std::string, const Node *, std::less<>>;

/// Everything that Children says, against the model. False: no need to print each name.
bool agrees(const Children &c, const Model &m)
{
    std::size_t bytes = 0;
    auto it = c.begin();
    for (const auto &[name, node] : m) {
        if (it.get() != node || c.find(name) != node)
            return false;
        it.next();
        bytes += name.size() + 1;
    }
    return !it.get() && c.size() == m.size() && c.names_bytes() == bytes;
}

struct Version {
    Children children;
    Model model;
    std::uint64_t hash;
};

/// Names that meet in their first eight bytes, and names that do not.
std::string random_name(Random &r, std::size_t range)
{
    static const char *const kPrefix[] = {"", "a", "feature-", "feature-gso-", "device"};
    return kPrefix[r.below(5)] + std::to_string(r.below(range));
}

void run(std::uint64_t seed, std::size_t range, std::size_t operations, std::size_t add_of_10)
{
    INFO("XSGIT_TEST_SEED=", seed);
    Random r(seed + range);
    Version now{};
    std::vector<Version> kept;
    for (std::size_t i = 0; i < operations; ++i) {
        const std::string name = random_name(r, range);
        const bool in_place = r.one_in(2);
        if (r.below(10) < add_of_10) {
            const NodeRef n = node(name, "v");
            now.children = in_place ? std::move(now.children).with(n) : now.children.with(n);
            now.model[name] = n.get();
        } else {
            now.children = in_place ? std::move(now.children).without(name) : now.children.without(name);
            now.model.erase(name);
        }
        now.hash = now.children.names_hash();
        if (r.one_in(operations / 20)) {
            REQUIRE(agrees(now.children, now.model));
            kept.push_back(now);
        }
        if (kept.size() > 8)
            kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(r.below(kept.size())));
    }
    REQUIRE(agrees(now.children, now.model));
    REQUIRE_FALSE(kept.empty());
    for (const Version &v : kept) {
        CHECK(agrees(v.children, v.model));
        CHECK(v.children.names_hash() == v.hash);
        // The same set of names built anew has the same hash.
        Children again;
        for (const auto &[name, n] : v.model)
            again = std::move(again).with(NodeRef(n));
        CHECK(again.names_hash() == v.hash);
    }
    // Differences between any two versions are what the models say.
    kept.push_back(now);
    for (const Version &a : kept)
        for (const Version &b : kept) {
            Model gone = a.model, come = b.model;
            for (const auto &[name, n] : a.model)
                if (const auto same = come.find(name); same != come.end() && same->second == n) {
                    come.erase(same);
                    gone.erase(name);
                }
            std::string last;
            bool good = true;
            for (ChildDiff d(a.children, b.children); d.next();) {
                const Node *before = d.before(), *after = d.after();
                if (!before && !after) {
                    good = false;
                    break;
                }
                const std::string name(before ? before->name() : after->name());
                good = good && (last.empty() || last < name) && before != after;
                good = good && (!before || (gone.count(name) && gone[name] == before && gone.erase(name)));
                good = good && (!after || (come.count(name) && come[name] == after && come.erase(name)));
                good = good && (!before || !after || before->name() == after->name());
                last = name;
            }
            CHECK(good);
            CHECK(gone.empty());
            CHECK(come.empty());
        }
}

} // namespace

TEST_CASE("children model: few names, much coming and going") { run(seed(), 10, 20000, 5); }
TEST_CASE("children model: growing") { run(seed(), 5000, 20000, 9); }
TEST_CASE("children model: about as much added as removed") { run(seed(), 600, 40000, 5); }
TEST_CASE("children model: mostly removing") { run(seed(), 300, 20000, 2); }

TEST_CASE("children model: grow, then empty in order, from both ends")
{
    for (const bool from_front : {true, false}) {
        Children c = numbered(3000);
        auto left = names(c);
        if (from_front)
            std::reverse(left.begin(), left.end());
        while (!left.empty()) {
            c = std::move(c).without(left.back());
            left.pop_back();
            REQUIRE((c.size() == left.size() && (left.empty() || c.find(left.back()))));
        }
        CHECK(c.empty());
    }
}
