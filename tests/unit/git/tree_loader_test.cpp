// SPDX-License-Identifier: MIT
#include "git_sandbox.hpp"
#include "slow_encoder.hpp"

#include "xsgit/git/tree_encoder.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;
using namespace xsgit::test;

namespace {

std::string number(unsigned n) { return std::to_string(n); }

Tree sample()
{
    Tree t = write(empty_tree("n0"), "/local/domain/5/name", "vm5", "n5,r0");
    t = write(t, "/local/domain/5", "a directory's value");
    t = write(t, "/local/domain/5/data", std::string("\0\n\xff", 3), "b5,r0,w7!");
    t = write(t, "/local/domain/5/empty", "");
    for (unsigned i = 0; i < 2300; ++i)
        t = write(t, "/wide/" + number(i), i % 4 ? number(i % 9) : "", i % 11 ? "n3" : "n4");
    for (unsigned i = 0; i < 200; ++i)
        t = write(t, "/guests/" + number(i) + "/name", "vm" + number(i));
    t = write(t, "@releaseDomain", "");
    return set_perms(t, "@releaseDomain", "n0,r5");
}

/// A repository whose main holds `t`.
struct Stored {
    explicit Stored(const Tree &t)
    {
        PackBuffer pack;
        id = encode_tree({}, t, 1, pack);
        box.commit(id, pack);
    }
    Sandbox box;
    Oid id;
};

void check_bad(Sandbox &box, const std::string &tree, const char *reason)
{
    CAPTURE(reason);
    box.repo().refresh();
    const auto id = Oid::from_hex(tree);
    REQUIRE(id);
    try {
        load_tree(box.repo(), *id, 1);
        FAIL("it was loaded");
    } catch (const GitError &e) {
        CHECK(std::string(e.what()).find(reason) != std::string::npos);
    }
}

} // namespace

TEST_CASE("what was encoded is loaded")
{
    const Tree t = sample();
    Stored stored(t);
    const Tree loaded = load_tree(stored.box.repo(), stored.id, 7);
    CHECK(loaded.equal(t));
    PackBuffer pack;
    CHECK(encode_tree(loaded, loaded, 7, pack) == stored.id);
    CHECK(pack.empty());
}

TEST_CASE("a loaded tree goes on like one that was never stored")
{
    Tree live = sample();
    Stored stored(live);
    Tree loaded = load_tree(stored.box.repo(), stored.id, 1);
    PackBuffer live_pack, loaded_pack;
    std::mt19937 random(3);
    for (unsigned step = 0; step < 400; ++step) {
        const unsigned n = static_cast<unsigned>(random() % 2500);
        const auto change = [&](const Tree &t) {
            switch (random() % 5) {
            case 0:
                return write(t, "/wide/" + number(n) + "/sub", "x");
            case 1:
                return remove(t, "/wide/" + number(n));
            case 2:
                return set_perms(t, "/wide", n % 2 ? "n3" : "n9");
            case 3:
                return write(t, "@x" + number(n % 4), number(n));
            default:
                return write(t, "/wide/" + number(n), number(n));
            }
        };
        const auto state = random;
        const Tree live_next = change(live);
        random = state;
        const Tree loaded_next = change(loaded);
        const Oid id = encode_tree(live, live_next, 1, live_pack);
        CHECK(encode_tree(loaded, loaded_next, 1, loaded_pack) == id);
        live = live_next;
        loaded = loaded_next;
    }
    CHECK(loaded.equal(live));
    // What was written on top of the loaded tree completes it.
    stored.box.publish(loaded_pack);
    PackBuffer rest;
    stored.box.commit(encode_tree(loaded, loaded, 1, rest), rest);
    stored.box.fsck();
}

TEST_CASE("a keyframe of a loaded tree is complete")
{
    Stored stored(sample());
    const Tree loaded = load_tree(stored.box.repo(), stored.id, 1);
    Sandbox other;
    PackBuffer pack;
    encode_keyframe(loaded, 2, pack);
    other.commit(stored.id, pack);
    other.fsck();
    CHECK(load_tree(other.repo(), stored.id, 2).equal(loaded));
}

TEST_CASE("trees loaded through one cache share what is equal")
{
    const Tree t = sample();
    Stored stored(t);
    PackBuffer pack;
    const Oid next = encode_tree(t, write(t, "/local/domain/5/name", "other"), 1, pack);
    stored.box.publish(pack);
    const auto cache = make_load_cache();
    const Tree a = load_tree(stored.box.repo(), stored.id, 1, cache);
    const Tree b = load_tree(stored.box.repo(), next, 1, cache);
    CHECK(a.find(Path::trusted("/wide")) == b.find(Path::trusted("/wide")));
    CHECK(a.find(Path::trusted("/local")) != b.find(Path::trusted("/local")));
    CHECK(a.special() == b.special());
    CHECK(!a.equal(b));
    unsigned differences = 0;
    for (ChildDiff d(a.root()->children(), b.root()->children()); d.next();)
        ++differences;
    CHECK(differences == 1);
    PackBuffer more;
    CHECK(encode_tree(a, b, 1, more) == next);
    CHECK(more.empty());
}

TEST_CASE("2,000 levels are loaded")
{
    std::string path;
    for (unsigned i = 0; i < 2000; ++i)
        path += "/d";
    const Tree t = write(empty_tree(), path, "bottom");
    Stored stored(t);
    CHECK(load_tree(stored.box.repo(), stored.id, 1).equal(t));
}

TEST_CASE("bytes that git would refuse stand in hex digits")
{
    // Nobody can afford such bytes for a test; but a tree that holds some can be written by hand.
    Sandbox box;
    const auto blob = [&](const std::string &s) { return box.git_ok("hash-object -w --stdin", s); };
    const std::string perms_blob = blob("n0\n");
    const std::string special = box.git_ok("mktree", "100644 blob " + perms_blob + "\t%perms\n");
    const std::string node = box.git_ok("mktree", "100644 blob " + blob("6162ff\n") + "\t%hex\n100644 blob " +
                                                      perms_blob + "\t%perms\n");
    const std::string root = box.git_ok("mktree", "100644 blob " + perms_blob + "\t%perms\n040000 tree " +
                                                      special + "\t%special\n040000 tree " + node +
                                                      "\tbad\n100644 blob " + blob("x") + "\tleaf\n");
    box.repo().refresh();
    const Tree t = load_tree(box.repo(), *Oid::from_hex(root), 1);
    const Node *const bad = t.find(Path::trusted("/bad"));
    REQUIRE(bad);
    CHECK(bad->value() == "ab\xff");
    CHECK(bad->children().empty());

    PackBuffer pack;
    const Tree u = write(t, "/leaf", "y");
    box.commit(encode_tree(t, u, 1, pack), pack);
    CHECK(box.git_ok("rev-parse main:bad") == node);
    const Tree v = write(u, "/bad/child", "1");
    box.commit(encode_tree(u, v, 1, pack), pack);
    CHECK(box.git("cat-file blob main:bad/%hex").out == "6162ff\n");
    CHECK(box.git_ok("show main:bad/child") == "1");
    const Tree w = write(u, "/bad", "good");
    box.commit(encode_tree(v, w, 1, pack), pack);
    CHECK(box.git_ok("show main:bad") == "good");
    CHECK(box.git_ok("rev-parse main^{tree}") == slow_encode(w, hashing_maker()));
    encode_keyframe(v, 2, pack);
    box.commit(encode_tree(v, v, 2, pack), pack);
    box.fsck();
}

TEST_CASE("what the encoder would not have written is refused, naming the object")
{
    Sandbox box;
    const auto blob = [&](const std::string &s) {
        return "100644 blob " + box.git_ok("hash-object -w --stdin", s);
    };
    const auto mktree = [&](const std::string &lines) { return box.git_ok("mktree", lines); };
    const std::string good_perms = blob("n0\n") + "\t%perms\n";
    const std::string special = "040000 tree " + mktree(good_perms) + "\t%special\n";

    CHECK_NOTHROW(load_tree(box.repo(), *Oid::from_hex(mktree(good_perms + special)), 1));
    check_bad(box, mktree(special), "no %perms");
    check_bad(box, mktree(good_perms), "no %special");
    check_bad(box, mktree(good_perms + special + blob("") + "\t%value\n"), "empty %value");
    check_bad(box, mktree(good_perms + special + blob("") + "\t%other\n"), "entry %other");
    check_bad(box, mktree(blob("n0") + "\t%perms\n" + special), "not the text of a %perms");
    check_bad(box, mktree(blob("0n\n") + "\t%perms\n" + special), "not the text of a %perms");
    check_bad(box, mktree(blob("n0\nghost n1\n") + "\t%perms\n" + special), "not what we would have written");
    check_bad(box, mktree(blob("n0\n* n0\n") + "\t%perms\n" + special + blob("") + "\ta\n"),
              "not what we would have written");
    const std::string executable = "100755" + blob("x").substr(6) + "\ta\n";
    check_bad(box, mktree(good_perms + special + executable), "neither a file nor a tree");
    check_bad(box, mktree(good_perms + special + "040000 tree " + mktree(good_perms) + "\tchildless\n"),
              "without children");
    const std::string bucket = mktree(blob("x") + "\ta\n");
    check_bad(box, mktree(good_perms + special + "040000 tree " + bucket + "\t%8\n"), "buckets without need");
    check_bad(box, mktree(good_perms + special + "040000 tree " + bucket + "\t%1\n"), "wrong bucket");
    std::string lines;
    for (unsigned i = 0; i < 129; ++i)
        lines += blob("") + "\t" + number(i) + "\n";
    check_bad(box, mktree(good_perms + special + lines), "too many");
    check_bad(box, std::string(40, '1'), "missing");
    check_bad(box, special.substr(12, 40), "no %special");
    check_bad(box, blob("x").substr(12), "not a tree");
    const std::string lost = box.git_ok("mktree --missing", good_perms + special + "100644 blob " +
                                                                std::string(40, '2') + "\tgone\n");
    check_bad(box, lost, "2222222 in ");
}
