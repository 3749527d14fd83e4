// SPDX-License-Identifier: MIT
#include "server/engine/accounts.hpp"
#include "server/engine/estate.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>

using namespace xsgit;
using namespace xsgit::server;

namespace {

Tree with(Tree tree, const std::string &path, const char *perms, const char *value = "")
{
    std::string above;
    const Path leaf = Path::trusted(path);
    for (const std::string_view name : leaf.components()) {
        above += "/" + std::string(name);
        const Path at = Path::trusted(above);
        if (!tree.find(at))
            tree = std::move(tree).put(at, Node::make(name, nullptr, PermList::from_text("n0")));
    }
    return std::move(tree).put(leaf, Node::make(leaf.name(), Bytes::make(value), PermList::from_text(perms),
                                                tree.find(leaf)->children()));
}

Tree empty() { return Tree::with_root(PermList::from_text("n0")); }

Estate of(const Tree &tree, std::uint16_t domid)
{
    return Estate(tree, domid, Accounts::of(tree).get(domid));
}

} // namespace

TEST_CASE("estate: what is owned, and what names the domain, wherever it lies")
{
    Tree t = with(empty(), "/local/domain/5/device/vif/0/state", "n5,r0");
    t = with(t, "/local/domain/5/name", "n0,r5");
    t = with(t, "/local/domain/5/vm", "n0,r5", "/vm/some-uuid");
    t = with(t, "/vm/some-uuid/name", "n0,r5");
    t = with(t, "/local/domain/0/backend/vif/5/0/state", "n0,r5");
    t = with(t, "/local/domain/6/mine", "n6,w5,r7,b5");
    t = with(t, "/odd/place/a", "n5");
    t = with(t, "/odd/place/a/b", "n5");
    t = with(t, "/odd/place/a/c", "n6");
    const Estate e = of(t, 5);
    REQUIRE(e.owned.size() == 2);
    CHECK(e.owned[0].str() == "/local/domain/5/device/vif/0/state");
    CHECK(e.owned[1].str() == "/odd/place/a");
    std::string named;
    for (const Path &p : e.named)
        named += p.str() + " ";
    CHECK(named == "/local/domain/0/backend/vif/5/0/state /local/domain/5/name /local/domain/5/vm "
                   "/local/domain/6/mine /vm/some-uuid/name ");
    CHECK(of(t, 8).owned.empty());
    CHECK(of(t, 8).named.empty());
}

TEST_CASE("estate: the short search finds what the whole tree holds")
{
    std::mt19937 random(1);
    const auto any = [&](unsigned n) { return std::uniform_int_distribution<unsigned>(0, n - 1)(random); };
    const char *const perms[] = {"n0", "n5", "n5,r0", "n0,r5", "n6,r5,w5", "n6", "n0,b6", "n5,r5"};
    const char *const tops[] = {"/local/domain/5",
                                "/local/domain/6",
                                "/local/domain/0/backend/vif/5",
                                "/vm/u",
                                "/libxl/5",
                                "/x",
                                "/x/5",
                                "/local/domain/0/device-model/5"};
    for (int round = 0; round < 300; ++round) {
        Tree t = empty();
        for (unsigned n = any(20); n > 0; --n) {
            std::string path = tops[any(std::size(tops))];
            for (unsigned depth = any(4); depth > 0; --depth)
                path += "/" + std::to_string(any(3));
            t = with(t, path, perms[any(std::size(perms))]);
        }
        t = with(t, "/local/domain/5/vm", "n0", any(2) ? "/vm/u" : "/local");
        const Account all{1 << 30, 0, 1 << 30}; // never found completely
        for (const std::uint16_t domid : {std::uint16_t{5}, std::uint16_t{6}}) {
            const Estate quick = of(t, domid), whole(t, domid, all);
            CHECK(quick.owned == whole.owned);
            CHECK(quick.named == whole.named);
        }
    }
}
