// SPDX-License-Identifier: MIT
#include "xsgit/tree/each_edit.hpp"

#include "support.hpp"

#include <doctest/doctest.h>
#include <random>
#include <vector>

using namespace xsgit;
using namespace xsgit::test;

namespace {

struct Edit {
    std::string path;
    NodeRef node; // null: gone
};

std::vector<Edit> edits(const Tree &from, const Tree &to)
{
    std::vector<Edit> out;
    each_edit(from, to, [&](const std::string &path, const Node *n) { out.push_back({path, NodeRef(n)}); });
    return out;
}

Tree edited(Tree tree, const std::vector<Edit> &all)
{
    for (const Edit &e : all)
        REQUIRE(apply_edit(tree, e.path, e.node ? e.node->value_ref() : nullptr,
                           e.node ? e.node->perms() : nullptr));
    return tree;
}

std::string random_path(std::mt19937 &random)
{
    static const char *const names[] = {"a", "b", "c", "a-b", "z"};
    std::string path;
    for (unsigned n = 1 + random() % 4; n > 0; --n)
        path += std::string("/") + names[random() % 5];
    return random() % 8 == 0 ? "@s" + path.substr(1, path.find('/', 1) - 1) : path;
}

/// As the daemon would: missing parents are made.
Tree step(Tree t, std::mt19937 &random)
{
    const Path path = Path::trusted(random_path(random));
    if (random() % 3 == 0)
        return std::as_const(t).remove(path);
    if (!path.is_special())
        for (std::size_t at = 1; (at = path.str().find('/', at)) != std::string::npos; ++at) {
            const Path above = Path::trusted(path.str().substr(0, at));
            if (!t.find(above))
                t = std::as_const(t).put(above, node(above.name(), ""));
        }
    const Node *was = t.find(path);
    const NodeRef fresh = Node::make(path.name(), Bytes::make(std::to_string(random() % 3)),
                                     PermList::from_text(random() % 2 ? "n0" : "b5,r1"),
                                     was && random() % 4 ? was->children() : Children());
    return std::as_const(t).put(path, fresh);
}

} // namespace

TEST_CASE("each_edit: what it tells makes one tree of the other")
{
    std::mt19937 random(7);
    std::vector<Tree> trees{Tree::with_root(perms())};
    for (int i = 0; i < 400; ++i)
        trees.push_back(step(trees.back(), random));
    for (int i = 0; i < 400; ++i) {
        const Tree &from = trees[random() % trees.size()], &to = trees[random() % trees.size()];
        CHECK(edited(from, edits(from, to)).equal(to));
        CHECK(edited(Tree(), edits(Tree(), to)).equal(to));
    }
    CHECK(edits(trees.back(), trees.back()).empty());
}

TEST_CASE("each_edit: only what differs is told, parents first")
{
    std::mt19937 random(8);
    Tree a = Tree::with_root(perms());
    for (int i = 0; i < 1000; ++i)
        a = std::move(a).put(Path::trusted("/" + std::to_string(i)), node(std::to_string(i), "v"));
    const Tree b = std::as_const(a).put(Path::trusted("/500"), node("500", "w"));
    const Tree c = std::as_const(b).put(Path::trusted("/500/x"), node("x", "1"));
    REQUIRE(edits(a, c).size() == 2);
    CHECK(edits(a, c)[0].path == "/500");
    CHECK(edits(a, c)[1].path == "/500/x");
    REQUIRE(edits(c, b).size() == 1);
    CHECK(edits(c, b)[0].node == nullptr);
    CHECK(edits(Tree(), a).front().path == "/");
}

TEST_CASE("apply_edit: what does not fit is refused")
{
    Tree t;
    CHECK_FALSE(apply_edit(t, "/a", nullptr, perms()));
    CHECK_FALSE(apply_edit(t, "/", nullptr, nullptr));
    REQUIRE(apply_edit(t, "/", nullptr, perms()));
    REQUIRE(apply_edit(t, "@", nullptr, perms()));
    CHECK_FALSE(apply_edit(t, "/a/b", nullptr, perms()));
    REQUIRE(apply_edit(t, "/a", nullptr, perms()));
    REQUIRE(apply_edit(t, "/a/b", nullptr, perms()));
    CHECK_FALSE(apply_edit(t, "@", nullptr, nullptr));
    REQUIRE(apply_edit(t, "/a", Bytes::make("v"), perms()));
    CHECK(t.find(Path::trusted("/a/b")) != nullptr);
}
