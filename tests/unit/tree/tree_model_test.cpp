// SPDX-License-Identifier: MIT
// Trees against a map from path to value under random operations. Old versions
// are kept and must not change, in whichever form their successors were made.
#include "xsgit/tree/tree.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace xsgit;
using namespace xsgit::test;

namespace {

using Model = std::map<std::string, std::string>; // without the root

struct Version {
    Tree tree;
    Model model;
};

std::string join(const std::string &dir, std::string_view name)
{
    return dir == "/" ? "/" + std::string(name) : dir + "/" + std::string(name);
}

/// Every node of the tree with its value.
Model listing(const Tree &t)
{
    Model m;
    std::vector<std::pair<std::string, const Node *>> todo = {{"/", t.root().get()}};
    while (!todo.empty()) {
        const auto [dir, n] = todo.back();
        todo.pop_back();
        for (auto it = n->children().begin(); it.get(); it.next()) {
            const std::string p = join(dir, it.get()->name());
            m[p] = it.get()->value();
            todo.emplace_back(p, it.get());
        }
    }
    for (auto it = t.special()->children().begin(); it.get(); it.next())
        m[std::string(it.get()->name())] = it.get()->value();
    return m;
}

void erase_below(Model &m, const std::string &p)
{
    m.erase(p);
    const std::string dir = p + "/";
    auto it = m.lower_bound(dir);
    while (it != m.end() && it->first.starts_with(dir))
        it = m.erase(it);
}

/// A node that is there, or the root.
std::string random_place(const Model &m, Random &r)
{
    if (m.empty() || r.one_in(20))
        return "/";
    auto it = m.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(r.below(m.size())));
    return it->first[0] == '@' ? "/" : it->first;
}

void step(Version &v, Random &r)
{
    const bool in_place = r.one_in(2);
    const std::size_t what = r.below(20);
    if (what < 3) {
        // Absent as often as not, and deep ones too.
        std::string p = random_place(v.model, r);
        if (p == "/" || r.one_in(2))
            p = join(p, "n" + std::to_string(r.below(6)));
        const Path path = Path::trusted(p);
        v.tree = in_place ? std::move(v.tree).remove(path) : v.tree.remove(path);
        erase_below(v.model, p);
        return;
    }
    std::string p;
    if (what == 3) {
        p = "@s" + std::to_string(r.below(50));
    } else {
        p = random_place(v.model, r);
        if (p == "/" || r.one_in(2))
            p = join(p, "n" + std::to_string(r.below(what == 4 ? 500 : 6)));
    }
    const std::string value = std::to_string(r.below(1000000));
    const Path path = Path::trusted(p);
    const Node *old = v.tree.find(path);
    REQUIRE((old != nullptr) == (v.model.count(p) == 1));
    NodeRef n = old ? old->with_value(Bytes::make(value)) : node(path.name(), value);
    v.tree = in_place ? std::move(v.tree).put(path, std::move(n)) : v.tree.put(path, std::move(n));
    v.model[p] = value;
}

} // namespace

TEST_CASE("tree model: random operations, old versions unchanged")
{
    for (std::uint64_t s = seed(); s < seed() + 5; ++s) {
        INFO("XSGIT_TEST_SEED=", s);
        Random r(s);
        Version now{Tree::with_root(perms()), {}};
        std::vector<Version> kept;
        for (int i = 0; i < 4000; ++i) {
            step(now, r);
            if (r.one_in(200)) {
                REQUIRE(listing(now.tree) == now.model);
                kept.push_back(now);
            }
            if (!kept.empty() && r.one_in(400)) { // go on from an old one, as a transaction does
                now = kept[r.below(kept.size())];
            }
            if (kept.size() > 8)
                kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(r.below(kept.size())));
        }
        REQUIRE(listing(now.tree) == now.model);
        REQUIRE_FALSE(kept.empty());
        kept.push_back(now);
        for (const Version &a : kept) {
            CHECK(listing(a.tree) == a.model);
            for (const Version &b : kept)
                CHECK(a.tree.equal(b.tree) == (a.model == b.model));
        }
        // The same content with no history in common.
        Tree again = Tree::with_root(perms());
        for (const auto &[p, value] : now.model)
            again = std::move(again).put(Path::trusted(p), node(Path::trusted(p).name(), value));
        CHECK(again.equal(now.tree));
    }
}
