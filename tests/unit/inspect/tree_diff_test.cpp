// SPDX-License-Identifier: MIT
// Differences of two states, against a plain comparison of all nodes.
#include "inspect/text.hpp"
#include "inspect/tree_diff.hpp"
#include "tests/unit/inspect/store.hpp"
#include "xsgit/base/limits.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>

using namespace xsgit;
using namespace xsgit::inspect;
using inspect::test::TestStore;

namespace {

std::string diff_text(TreeReader &reader, const Oid &a, const Oid &b, const std::vector<Path> &limits = {})
{
    std::string out;
    diff_trees(reader, a, b, limits, [&](const NodeChange &c) {
        out += change_text(c);
        return true;
    });
    return out;
}

using Nodes = std::map<std::string, NodeState>;

Nodes all_nodes(TreeReader &reader, const Oid &root)
{
    Nodes out;
    list_tree(reader, root, Path(), [&](const std::string &path, const NodeState &s) { out[path] = s; });
    return out;
}

/// What the engine's own tree holds.
void collect(const Node &node, const std::string &path, Nodes &out)
{
    out[path] = {std::string(node.value()), node.perms()->text()};
    for (auto c = node.children().begin(); c.get(); c.next())
        collect(*c.get(), (path == "/" ? "" : path) + "/" + std::string(c.get()->name()), out);
}

} // namespace

TEST_CASE("a diff has what was added, changed and removed, in order")
{
    TestStore s;
    const auto c = s.connect();
    s.write(c, "/a/b", "1");
    s.write(c, "/a/gone", "x");
    s.write(c, "/a/perms", "p");
    const Oid before = s.tree();
    s.write(c, "/a/b", "2\n\x1b[31m");
    s.write(c, "/a/b/below", "");
    s.rm(c, "/a/gone");
    s.set_perms(c, "/a/perms", {"n0", "r5"});
    const Oid after = s.tree();
    s.publish();
    const auto repo = Repository::open(s.path);
    TreeReader reader(*repo);
    CHECK(diff_text(reader, before, after) == "- /a/b = \"1\"   (n0)\n"
                                              "+ /a/b = \"2\\n\\x1b[31m\"   (n0)\n"
                                              "+ /a/b/below = \"\"   (n0)\n"
                                              "- /a/gone = \"x\"   (n0)\n"
                                              "- /a/perms = \"p\"   (n0)\n"
                                              "+ /a/perms = \"p\"   (n0,r5)\n");
    CHECK(diff_text(reader, after, before, {Path::trusted("/a/b")}) == "- /a/b = \"2\\n\\x1b[31m\"   (n0)\n"
                                                                       "+ /a/b = \"1\"   (n0)\n"
                                                                       "- /a/b/below = \"\"   (n0)\n");
    CHECK(diff_text(reader, after, after).empty());
    CHECK(reader.differs(before, after, Path::trusted("/a/perms")));
    CHECK(reader.differs(before, after, Path::trusted("/a/gone")));
    CHECK_FALSE(reader.differs(before, after, Path::trusted("/a/none")));
    CHECK_FALSE(reader.differs(before, after, Path::trusted("/tool")));
}

TEST_CASE("a change of a directory's own permissions, which leaves may inherit in git")
{
    TestStore s;
    const auto c = s.connect();
    for (std::size_t i = 0; i < kFlatChildren + 50; ++i) // enough for buckets
        s.write(c, "/wide/n" + std::to_string(i), "v");
    const Oid before = s.tree();
    s.set_perms(c, "/wide", {"n0", "r7"});
    const Oid after = s.tree();
    s.publish();
    const auto repo = Repository::open(s.path);
    TreeReader reader(*repo);
    CHECK(diff_text(reader, before, after) == "- /wide = \"\"   (n0)\n"
                                              "+ /wide = \"\"   (n0,r7)\n");
}

TEST_CASE("hidden nodes are in a diff, not in a listing")
{
    TestStore s;
    const auto c = s.connect();
    const Oid before = s.tree();
    REQUIRE(s.set_perms(c, "@releaseDomain", {"n0", "r5"}) == "OK");
    const Oid after = s.tree();
    s.publish();
    const auto repo = Repository::open(s.path);
    TreeReader reader(*repo);
    const std::string text = diff_text(reader, before, after);
    CHECK(text.find("+ @releaseDomain = \"\"   (n0,r5)\n") != std::string::npos);
    CHECK(reader.differs(before, after, Path::trusted("@releaseDomain")));
    CHECK_FALSE(reader.differs(before, after, Path::trusted("@introduceDomain")));
    for (const auto &[path, state] : all_nodes(reader, after))
        CHECK(path.starts_with('/'));
}

TEST_CASE("random stores: listings and diffs agree with the engine's tree")
{
    TestStore s;
    const auto c = s.connect();
    std::mt19937 random(20261121);
    const auto pick = [&](unsigned n) { return random() % n; };
    struct Moment {
        Oid tree;
        Nodes nodes;
    };
    std::vector<Moment> moments;
    for (int round = 0; round < 12; ++round) {
        for (int i = 0; i < 90; ++i) {
            std::string path = "/d" + std::to_string(pick(3));
            if (pick(2))
                path += "/wide/n" + std::to_string(pick(400));
            if (pick(4) == 0)
                path += "/x" + std::to_string(pick(3));
            switch (pick(6)) {
            case 0:
                s.rm(c, pick(20) == 0 ? "/d1" : path);
                break;
            case 1:
                s.set_perms(c, path, {"n0", pick(2) ? "r5" : "w7"});
                break;
            default:
                s.write(c, path, std::string(pick(3), static_cast<char>(pick(256))));
                break;
            }
        }
        Moment m{s.tree(), {}};
        collect(*s.state.tree().root(), "/", m.nodes);
        moments.push_back(std::move(m));
    }
    s.publish();
    const auto repo = Repository::open(s.path);
    TreeReader reader(*repo);
    for (const Moment &m : moments)
        CHECK(all_nodes(reader, m.tree) == m.nodes);
    for (const Moment &a : moments)
        for (const Moment &b : moments) {
            Nodes made = a.nodes;
            std::string last;
            diff_trees(reader, a.tree, b.tree, {}, [&](const NodeChange &change) {
                CHECK(change.before != change.after);
                const auto at = made.find(change.path);
                if (change.before) {
                    REQUIRE(at != made.end());
                    CHECK(at->second == *change.before);
                } else {
                    CHECK(at == made.end());
                }
                if (change.after)
                    made[change.path] = *change.after;
                else
                    made.erase(change.path);
                return true;
            });
            CHECK(made == b.nodes);
        }
    for (const auto &[path, state] : moments.back().nodes) {
        const auto node = reader.find(moments.back().tree, Path::trusted(path));
        REQUIRE(node);
        CHECK(reader.state(*node) == state);
    }
}

TEST_CASE("what is no state of the store is refused, not guessed")
{
    TestStore s;
    s.publish();
    const auto repo = Repository::open(s.path);
    TreeReader reader(*repo);
    CHECK_THROWS_AS(reader.children(GitNode{Oid{{1}}, true, {}}), GitError);
    CHECK_THROWS_AS(reader.children(GitNode{s.writer.tips().main, true, {}}), GitError);
}

TEST_CASE("outermost limits")
{
    const auto p = [](const char *text) { return Path::trusted(text); };
    CHECK(outermost({p("/a/b"), p("/a"), p("/ab"), p("/a")}) == std::vector<Path>{p("/a"), p("/ab")});
    CHECK(outermost({p("/a"), p("/")}) == std::vector<Path>{p("/")});
}
