// SPDX-License-Identifier: MIT
#include "xsgit/tree/node.hpp"

#include "support.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

struct Mark : Annotation {
    explicit Mark(int *n) : count(n) {}
    ~Mark() override { ++*count; }
    int *count;
};

} // namespace

TEST_CASE("node: parts, and copies with one of them changed")
{
    const NodeRef a = Node::make("name", Bytes::make("value"), perms("n0,r5"), numbered(3));
    CHECK(a->name() == "name");
    CHECK(a->value() == "value");
    CHECK(a->perms()->text() == "n0,r5");
    CHECK(a->children().size() == 3);

    const NodeRef v = a->with_value(nullptr);
    CHECK(v->name() == "name");
    CHECK(v->value() == "");
    CHECK(v->perms() == a->perms());
    CHECK(v->children().same(a->children()));
    const NodeRef p = a->with_perms(perms("b7"));
    CHECK(p->perms()->text() == "b7");
    CHECK(p->value_ref() == a->value_ref());
    const NodeRef c = a->with_children({});
    CHECK(c->children().empty());
    CHECK(c->value() == "value");
    CHECK(a->children().size() == 3);
}

TEST_CASE("node: names of any length")
{
    for (std::size_t n : {0u, 1u, 15u, 16u, 255u, 4000u})
        CHECK(node(std::string(n, 'x'))->name() == std::string(n, 'x'));
}

TEST_CASE("node: an annotation dies with its node and is not copied")
{
    int died = 0;
    {
        const NodeRef a = node("a");
        a->note = std::make_unique<Mark>(&died);
        CHECK_FALSE(a->with_value(Bytes::make("x"))->note);
        CHECK(died == 0);
    }
    CHECK(died == 1);
}

TEST_CASE("node: destruction does not recurse over the depth (XSA-418)")
{
    int died = 0;
    NodeRef n = node("x");
    for (int i = 0; i < 100000; ++i)
        n = node("x")->with_children(Children().with(std::move(n)));
    n->note = std::make_unique<Mark>(&died);
    const NodeRef top = n;
    n = nullptr;
    CHECK(died == 0);
    const_cast<NodeRef &>(top) = nullptr;
    CHECK(died == 1);
}

TEST_CASE("node: what is shared outlives one of its holders")
{
    NodeRef deep = node("deep", "kept");
    NodeRef a = node("a")->with_children(Children().with(deep));
    const NodeRef b = node("b")->with_children(a->children());
    a = nullptr;
    REQUIRE(b->children().find("deep"));
    CHECK(b->children().find("deep")->value() == "kept");
}

TEST_CASE("node: nothing is left behind")
{
    // Perms are counted by every node that lives.
    const PermsRef p = perms("n1");
    {
        NodeRef n = Node::make("x", nullptr, p);
        for (int i = 0; i < 1000; ++i) {
            Children c = Children().with(n);
            for (int k = 0; k < 40; ++k)
                c = c.with(Node::make("y" + std::to_string(k), nullptr, p));
            n = Node::make("x", nullptr, p, std::move(c));
        }
        CHECK(p->ref_count() == 1 + 1001 + 40000);
    }
    CHECK(p->ref_count() == 1);
}
