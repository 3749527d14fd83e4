// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_encoder.hpp"

#include "git_sandbox.hpp"
#include "slow_encoder.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// Encodes step after step as the committer does, and compares every id with one made from nothing.
class Steps {
public:
    explicit Steps(const Tree &first) { to(first); }

    Oid to(const Tree &next)
    {
        const Oid id = encode_tree(tree_, next, 1, pack_);
        tree_ = next;
        CHECK(id.hex() == slow_encode(next, hashing_maker()));
        return id;
    }
    const Tree &tree() const { return tree_; }
    PackBuffer &pack() { return pack_; }

private:
    Tree tree_;
    PackBuffer pack_;
};

Oid from_scratch(const Tree &t)
{
    PackBuffer pack;
    return encode_tree({}, fresh(t), 1, pack);
}

std::string number(unsigned n) { return std::to_string(n); }

} // namespace

TEST_CASE("an empty store has an id")
{
    Steps s(empty_tree("n0"));
    CHECK(s.pack().objects() == 3); // "n0\n", the hidden nodes' tree, the root
}

TEST_CASE("stock git makes the same objects")
{
    Sandbox box;
    Tree t = write(empty_tree(), "/local/domain/0/name", "Domain-0");
    t = write(t, "/local/domain/5", "", "n5,r0");
    t = write(t, "/local/domain/5/name", "vm5");
    t = write(t, "/local/domain/5/id", "5");
    t = write(t, "/local/domain/5/state", "", "n5,w7");
    t = write(t, "/local/domain/5/data", std::string("\0\n\xff", 3), "b5,r0,w7!");
    t = write(t, "/local/domain/5-x", "sorts before 5/");
    t = write(t, "/tool", "a value and children");
    t = write(t, "/tool/xenstored", "");
    t = write(t, "@releaseDomain", "");
    t = set_perms(t, "@releaseDomain", "n0,r5");

    ObjectMaker git_itself;
    git_itself.blob = [&](const std::string &c) { return box.git_ok("hash-object -w --stdin", c); };
    git_itself.tree = [&](const std::vector<SlowEntry> &entries) {
        std::string lines;
        for (const SlowEntry &e : entries)
            lines += (e.tree ? "040000 tree " : "100644 blob ") + e.id + "\t" + e.name + "\n";
        return box.git_ok("mktree", lines);
    };
    Steps s(t);
    CHECK(from_scratch(t).hex() == slow_encode(t, git_itself));

    box.commit(from_scratch(t), s.pack());
    box.fsck();
    CHECK(box.git_ok("show main:local/domain/5/name") == "vm5");
    CHECK(box.git("cat-file blob main:local/domain/5/data").out == std::string("\0\n\xff", 3));
    CHECK(box.git("cat-file blob main:local/domain/5/%perms").out == "n5,r0\ndata b5,r0,w7!\nstate n5,w7\n");
    CHECK(box.git_ok("show main:tool/%value") == "a value and children");
    CHECK(box.git("show main:%special/%perms").out == "n0,r7\n* n0,r5\n");
}

TEST_CASE("%perms: the list of most leaves is named once")
{
    Sandbox box;
    Tree t = empty_tree("n0");
    for (const char *name : {"a", "b", "c"})
        t = write(t, std::string("/") + name, "", "n5,r0");
    t = write(t, "/d", "", "n0");
    Steps s(t);
    box.commit(s.to(t), s.pack());
    CHECK(box.git("cat-file blob main:%perms").out == "n0\n* n5,r0\nd n0\n");

    t = set_perms(t, "/a", "n0"); // two and two: "n0" sorts first, and is the node's own
    box.commit(s.to(t), s.pack());
    CHECK(box.git("cat-file blob main:%perms").out == "n0\nb n5,r0\nc n5,r0\n");
}

TEST_CASE("a value changes: no permissions, nothing beside the path")
{
    Tree t = write(empty_tree(), "/a/b/c", "1");
    t = write(t, "/a/b/d", "1", "n3");
    t = write(t, "/x/y", "1");
    Steps s(t);
    const std::uint32_t before = s.pack().objects();
    s.to(write(t, "/a/b/c", "2"));
    CHECK(s.pack().objects() == before + 4); // blob, b, a, root
    s.to(write(s.tree(), "/a/b/c", "2"));    // the same again
    CHECK(s.pack().objects() == before + 4);
    s.to(set_perms(s.tree(), "/a/b/c", "n0")); // %perms instead of the blob
    CHECK(s.pack().objects() == before + 8);
}

TEST_CASE("leaf to directory and back")
{
    Steps s(write(empty_tree(), "/a-b", ""));
    s.to(write(s.tree(), "/a", "leaf"));
    const Oid leaf = s.to(s.tree());
    s.to(write(s.tree(), "/a/c", "1")); // "a/" sorts behind "a-b"
    s.to(write(s.tree(), "/a", ""));
    s.to(write(s.tree(), "/a", "leaf"));
    s.to(remove(s.tree(), "/a/c"));
    CHECK(s.to(s.tree()) == leaf);
    s.to(remove(s.tree(), "/a"));
    s.to(remove(s.tree(), "/a-b"));
}

TEST_CASE("128 children are flat, 129 are not")
{
    Sandbox box;
    Tree t = empty_tree();
    for (unsigned i = 0; i < 128; ++i)
        t = write(t, "/d/" + number(i), "v");
    Steps s(t);
    const Oid flat = s.to(t);
    box.commit(flat, s.pack());
    CHECK(box.git_ok("show main:d/17") == "v");
    t = write(t, "/d/128", "v");
    box.commit(s.to(t), s.pack());
    // the SHA-1 of "17" begins with 0
    CHECK(box.git_ok("show main:d/%0/17") == "v");
    CHECK(box.git("show main:d/17").status != 0);
    box.fsck();
    CHECK(s.to(remove(t, "/d/128")) == flat);
}

TEST_CASE("buckets of buckets, one child at a time")
{
    Tree t = empty_tree();
    PackBuffer pack;
    Tree last;
    // Two levels deep for some digits from about 1,900 on.
    for (unsigned i = 0; i < 2300; ++i) {
        t = write(t, "/d/" + number(i), i % 3 ? "v" : "", i % 50 ? "n0" : "n7");
        const Oid id = encode_tree(last, t, 1, pack);
        last = t;
        if (i % 100 == 0 || (i > 2000 && i % 10 == 0))
            CHECK(id.hex() == slow_encode(t, hashing_maker()));
    }
    for (unsigned i = 0; i < 2300; ++i) {
        t = remove(t, "/d/" + number(i * 7 % 2300));
        const Oid id = encode_tree(last, t, 1, pack);
        last = t;
        if (i % 100 == 0 || i > 2160)
            CHECK(id.hex() == slow_encode(t, hashing_maker()));
    }
}

TEST_CASE("a change of a wide directory's own list reaches its buckets")
{
    Tree t = write(empty_tree(), "/d", "");
    for (unsigned i = 0; i < 400; ++i)
        t = write(t, "/d/" + number(i), "", i % 2 ? "n1" : "n2");
    Steps s(t);
    s.to(set_perms(t, "/d", "n1"));
    s.to(set_perms(s.tree(), "/d", "n2"));
    s.to(set_perms(s.tree(), "/d", "n9"));
    s.to(set_perms(s.tree(), "/d/77", "n9"));
    s.to(write(s.tree(), "/d/77", "value"));
    s.to(write(s.tree(), "/d/77/sub", "value"));
    s.to(write(s.tree(), "/d", "value"));
}

TEST_CASE("one child among 10,000 costs its buckets only")
{
    Tree t = empty_tree();
    for (unsigned i = 0; i < 10'000; ++i)
        t = write(std::move(t), "/d/" + number(i), "v");
    PackBuffer pack;
    encode_tree({}, t, 1, pack);
    const auto objects = pack.objects();
    const auto bytes = pack.bytes();
    const Tree changed = write(t, "/d/5000", "w");
    encode_tree(t, changed, 1, pack);
    CHECK(pack.objects() == objects + 5); // blob, two buckets, d, root
    CHECK(pack.bytes() - bytes < 400);    // deltas
    PackBuffer other;
    const Oid id = encode_tree({}, fresh(changed), 1, other);
    CHECK(id == encode_tree(changed, changed, 1, pack));
}

TEST_CASE("hidden nodes change under the same root")
{
    const Tree a = write(empty_tree(), "/x", "1");
    const Tree b = write(a, "@releaseDomain", "");
    const Tree c = set_perms(b, "@releaseDomain", "n0,r3");
    REQUIRE(a.root() == c.root());
    PackBuffer pack;
    const Oid id_a = encode_tree({}, a, 1, pack);
    const Oid id_b = encode_tree(a, b, 1, pack);
    const Oid id_c = encode_tree(b, c, 1, pack);
    CHECK(id_a == from_scratch(a));
    CHECK(id_b == from_scratch(b));
    CHECK(id_c == from_scratch(c));
    // Back to an older version whose root is annotated for another one.
    const Tree d = write(a, "/x", "2");
    CHECK(encode_tree(a, d, 1, pack) == from_scratch(d));
    CHECK(encode_tree(c, a, 1, pack) == id_a);
    encode_keyframe(c, 2, pack);
    CHECK(encode_tree(c, c, 2, pack) == id_c);
}

TEST_CASE("2,000 levels")
{
    std::string path;
    for (unsigned i = 0; i < 2000; ++i)
        path += "/d";
    Tree t = write(empty_tree(), path, "bottom");
    PackBuffer pack;
    const Oid id = encode_tree({}, t, 1, pack);
    const Tree u = write(t, path, "other");
    CHECK(encode_tree(t, u, 1, pack) != id);
    CHECK(encode_tree(u, write(u, path, "bottom"), 1, pack) == id);
    encode_keyframe(u, 2, pack);
    Sandbox box;
    box.commit(id, pack);
    box.fsck();
}

TEST_CASE("many changes at once, versions that share nothing, versions of the past")
{
    Tree a = empty_tree(), b = empty_tree();
    for (unsigned i = 0; i < 300; ++i) {
        a = write(a, "/d/" + number(i), "a");
        b = write(b, "/d/" + number(i * 2), "b", "n4");
        b = write(b, "/e/" + number(i), "b");
    }
    Steps s(a);
    const Oid first = s.to(a);
    s.to(b);
    CHECK(s.to(a) == first);
    Tree c = a;
    for (unsigned i = 0; i < 200; ++i)
        c = remove(c, "/d/" + number(i));
    s.to(c);
    CHECK(s.to(a) == first);
    s.to(remove(a, "/d"));
}

TEST_CASE("random operations: incremental, from nothing, and by the grammar")
{
    std::mt19937 random(20240607);
    const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    const char *const lists[] = {"n0", "n0,r5", "b5", "n5,r0,w7!", "r0"};
    for (unsigned round = 0; round < 6; ++round) {
        // Few names: directories come and go; many: buckets do.
        const unsigned names = round % 2 ? 400 : 6;
        const unsigned depth = round % 2 ? 2 : 5;
        Tree t = empty_tree();
        Tree last;
        PackBuffer pack;
        std::vector<Tree> past;
        for (unsigned step = 0; step < 600; ++step) {
            const unsigned at_once = pick(8) == 0 ? 1 + pick(60) : 1;
            for (unsigned k = 0; k < at_once; ++k) {
                std::string path;
                for (unsigned d = 1 + pick(depth); d > 0; --d)
                    path += "/" + (pick(3) ? number(pick(names)) : "n-" + number(pick(names)));
                if (pick(25) == 0)
                    path = pick(2) ? "@releaseDomain" : "@introduceDomain";
                const Node *const node = t.find(Path::trusted(path));
                const unsigned what = pick(10);
                // Growth in the first half, decline in the second.
                if (node && (what == 0 || (step > 300 && what < 4)))
                    t = remove(t, path);
                else if (node && what == 1)
                    t = set_perms(t, path, lists[pick(5)]);
                else
                    t = write(t, path, pick(4) ? number(pick(50)) : "", pick(3) ? "" : lists[pick(5)]);
            }
            const Oid id = encode_tree(last, t, 1, pack);
            if (step % 8 == 0)
                CHECK(id == from_scratch(t));
            if (step % 40 == 0) {
                CHECK(id.hex() == slow_encode(t, hashing_maker()));
                past.push_back(t);
            }
            // A transaction starts from a past version.
            if (step % 30 == 0) {
                const Tree &old = past[pick(static_cast<unsigned>(past.size()))];
                const Tree side = write(old, "/side", number(step));
                CHECK(encode_tree(old, side, 1, pack) == from_scratch(side));
            }
            last = t;
        }
    }
}

TEST_CASE("a keyframe holds all that its epoch needs")
{
    Tree t = write(empty_tree("n0"), "/tool", "v");
    for (unsigned i = 0; i < 300; ++i)
        t = write(t, "/d/" + number(i), number(i), i % 2 ? "n1" : "n2");
    t = write(t, "/tool/a/b", "", "n4");
    t = write(t, "@releaseDomain", "");
    PackBuffer old_epoch;
    encode_tree({}, t, 1, old_epoch);
    old_epoch.finish();

    Sandbox box; // never sees the old epoch
    PackBuffer pack;
    encode_keyframe(t, 2, pack);
    const Oid same = encode_tree(t, t, 2, pack);
    CHECK(same == from_scratch(t));
    box.commit(same, pack);
    box.fsck();
    const Tree u = write(t, "/d/3", "changed");
    box.commit(encode_tree(t, u, 2, pack), pack, "next");
    box.fsck();
    CHECK(box.git_ok("diff-tree -r --name-only main next").ends_with("/3"));

    // A version that the keyframe did not write is no base any more: all of it is written.
    const Tree side = write(t, "/d/4", "side");
    PackBuffer elsewhere;
    encode_tree(t, side, 2, elsewhere);
    elsewhere.finish();
    encode_keyframe(u, 3, elsewhere);
    const Tree after = write(side, "/d/5", "side");
    box.commit(encode_tree(side, after, 3, elsewhere), elsewhere, "side");
    box.fsck();
}
