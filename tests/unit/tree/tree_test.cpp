// SPDX-License-Identifier: MIT
#include "xsgit/tree/tree.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

Path path(std::string text) { return Path::trusted(std::move(text)); }

Tree put(const Tree &t, const char *p, std::string_view value = {})
{
    return t.put(path(p), node(path(p).name(), value));
}

std::string value(const Tree &t, const char *p)
{
    const Node *n = t.find(path(p));
    return n ? std::string(n->value()) : "(absent)";
}

struct Mark : Annotation {};

} // namespace

TEST_CASE("tree: empty and fresh")
{
    CHECK(Tree().empty());
    CHECK(Tree().equal(Tree()));
    const Tree t = Tree::with_root(perms());
    CHECK_FALSE(t.empty());
    CHECK_FALSE(t.equal(Tree()));
    CHECK_FALSE(Tree().equal(t));
    CHECK(t.find(Path()) == t.root().get());
    CHECK(t.find(path("/a")) == nullptr);
    CHECK(t.find(path("@releaseDomain")) == nullptr);
    CHECK(t.special()->children().empty());
}

TEST_CASE("tree: put, find, remove")
{
    const Tree a = Tree::with_root(perms());
    const Tree b = put(put(a, "/local"), "/local/domain", "d");
    const Tree c = put(b, "/local/domain", "e");
    CHECK(value(a, "/local") == "(absent)");
    CHECK(value(b, "/local/domain") == "d");
    CHECK(value(c, "/local/domain") == "e");
    CHECK(value(c, "/local/domain/0") == "(absent)");
    CHECK(value(c, "/x/y/z") == "(absent)");
    CHECK_FALSE(b.same(c));

    const Tree d = c.remove(path("/local"));
    CHECK(d.root()->children().empty());
    CHECK(value(c, "/local/domain") == "e");
    CHECK(c.remove(path("/none")).same(c));
    CHECK(c.remove(path("/none/deeper")).same(c));
    CHECK(c.remove(path("/local/domain/none")).same(c));
    CHECK(d.equal(a));
}

TEST_CASE("tree: the root is replaced as a whole")
{
    const Tree a = put(Tree::with_root(perms()), "/a");
    const Tree b = a.put(Path(), a.root()->with_value(Bytes::make("v")));
    CHECK(value(b, "/") == "v");
    CHECK(value(b, "/a") == "");
    CHECK(b.special() == a.special());
}

TEST_CASE("tree: hidden nodes stand apart")
{
    const Tree a = Tree::with_root(perms());
    const Tree b = put(put(a, "@releaseDomain", "r"), "/releaseDomain", "x");
    CHECK(value(b, "@releaseDomain") == "r");
    CHECK(value(b, "/releaseDomain") == "x");
    CHECK(value(b, "/@releaseDomain") == "(absent)");
    CHECK(value(b, "@releaseDomain/5") == "(absent)");
    CHECK(value(b, "@introduceDomain") == "(absent)");
    CHECK(b.root()->children().size() == 1);
    CHECK(b.remove(path("@releaseDomain")).remove(path("/releaseDomain")).equal(a));
    CHECK_FALSE(b.remove(path("@releaseDomain")).equal(b));
}

TEST_CASE("tree: a change shares everything beside its path")
{
    Tree a = Tree::with_root(perms());
    for (const char *p : {"/a", "/a/b", "/a/c", "/d", "/d/e"})
        a = put(a, p, "1");
    const Tree b = put(a, "/a/b", "2");
    CHECK(b.find(path("/a/c")) == a.find(path("/a/c")));
    CHECK(b.find(path("/d")) == a.find(path("/d")));
    CHECK(b.find(path("/a")) != a.find(path("/a")));
    CHECK(b.special() == a.special());
}

TEST_CASE("tree: the fast form copies only what another version holds")
{
    Tree t = Tree::with_root(perms());
    for (const char *p : {"/a", "/a/b", "/a/b/c", "/a/b/c/d"})
        t = std::move(t).put(path(p), node(path(p).name()));
    const Path deep = path("/a/b/c/d");
    const auto cost = [&](const char *v) {
        const NodeRef n = node("d", v);
        const Allocations a;
        t = std::move(t).put(deep, n);
        return a.count();
    };
    CHECK(cost("1") == 0);
    const Tree kept = t;
    CHECK(cost("2") == 4 * 2); // four nodes above, a page each
    CHECK(cost("3") == 0);
    CHECK(value(kept, "/a/b/c/d") == "1");
    CHECK(value(t, "/a/b/c/d") == "3");

    // A version that holds a part only: the way down to it stays owned.
    const NodeRef part(t.find(path("/a/b")));
    CHECK(cost("4") == 2 * 2);
    CHECK(part->children().find("c")->children().find("d")->value() == "3");
    CHECK(value(t, "/a/b/c/d") == "4");

    t = std::move(t).remove(deep);
    CHECK(t.find(deep) == nullptr);
    CHECK(t.find(path("/a/b/c"))->children().empty());
    CHECK(value(kept, "/a/b/c/d") == "1");
    CHECK(part->children().find("c")->children().find("d")->value() == "3");
}

TEST_CASE("tree: removal in the fast form leaves kept versions alone")
{
    Tree t = Tree::with_root(perms());
    for (const char *p : {"/a", "/a/b", "/a/b/c"})
        t = put(t, p, "1");
    for (const char *held : {"/", "/a", "/a/b", "/a/b/c"}) {
        Tree u = t;
        u = std::move(u).put(path("/x"), node("x")); // own root from here on
        const NodeRef hold(u.find(path(held)));
        u = std::move(u).remove(path("/a/b/c"));
        CHECK(u.find(path("/a/b/c")) == nullptr);
        CHECK(u.find(path("/a/b")));
        CHECK(value(t, "/a/b/c") == "1");
    }
}

TEST_CASE("tree: in-place changes take the annotations of all that they change")
{
    Tree t = put(put(put(Tree::with_root(perms()), "/a"), "/a/b"), "/c");
    for (const char *p : {"/", "/a", "/a/b", "/c"})
        t.find(path(p))->note = std::make_unique<Mark>();
    t = std::move(t).put(path("/a/b"), node("b", "new"));
    CHECK_FALSE(t.root()->note);
    CHECK_FALSE(t.find(path("/a"))->note);
    CHECK_FALSE(t.find(path("/a/b"))->note);
    CHECK(t.find(path("/c"))->note);

    t.root()->note = std::make_unique<Mark>();
    t = std::move(t).remove(path("/a/b"));
    CHECK_FALSE(t.root()->note);
    t.root()->note = std::make_unique<Mark>();
    t = std::move(t).remove(path("/a/none"));
    CHECK(t.root()->note);

    const Tree kept = t;
    kept.find(path("/a"))->note = std::make_unique<Mark>();
    t = std::move(t).put(path("/a/b"), node("b"));
    CHECK(kept.root()->note);
    CHECK(kept.find(path("/a"))->note);
    CHECK_FALSE(t.root()->note);
}

TEST_CASE("tree: equal compares content, not history")
{
    Tree a = Tree::with_root(perms()), b = Tree::with_root(perms());
    for (const char *p : {"/a", "/b", "/a/x"})
        a = put(a, p, "1");
    for (const char *p : {"/b", "/a", "/a/x"})
        b = put(b, p, "1");
    CHECK(a.equal(b));
    CHECK_FALSE(a.same(b));
    CHECK_FALSE(a.equal(put(b, "/a/x", "2")));
    CHECK_FALSE(a.equal(put(b, "/a/y", "1")));
    CHECK_FALSE(a.equal(b.remove(path("/a/x"))));
    CHECK_FALSE(a.equal(put(b.remove(path("/a/x")), "/a/y", "1")));
    CHECK_FALSE(a.equal(b.put(path("/a/x"), b.find(path("/a/x"))->with_perms(perms("r0")))));
    CHECK_FALSE(a.equal(put(b, "@x")));
}

TEST_CASE("tree: a depth of 2,000")
{
    for (const bool in_place : {true, false}) {
        Tree t = Tree::with_root(perms());
        Path p;
        for (int i = 0; i < 2000; ++i) {
            p = p.child("a");
            t = in_place ? std::move(t).put(p, node("a")) : t.put(p, node("a"));
        }
        CHECK(p.depth() == 2000);
        REQUIRE(t.find(p));
        const Tree u = t.put(p, node("a", "end"));
        CHECK(u.find(p)->value() == "end");
        CHECK_FALSE(t.equal(u));
        CHECK(t.equal(u.put(p, node("a"))));
        CHECK(u.remove(p).find(p.parent()));
        CHECK(u.remove(p).find(p) == nullptr);
        CHECK(u.remove(path("/a")).equal(Tree::with_root(perms())));
    }
}

TEST_CASE("tree: equal does not recurse over the depth")
{
    const auto chain = [](const char *end) {
        NodeRef n = node("x", end);
        for (int i = 0; i < 100000; ++i)
            n = node("x")->with_children(Children().with(std::move(n)));
        return Tree(n, node(""));
    };
    const Tree a = chain("1");
    CHECK(a.equal(chain("1")));
    CHECK_FALSE(a.equal(chain("2")));
}
