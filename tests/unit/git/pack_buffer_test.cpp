// SPDX-License-Identifier: MIT
#include "support/sample_history.hpp"
#include "support/scratch_repo.hpp"
#include "xsgit/git/pack_buffer.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;
using namespace xsgit::test;

namespace {

Placement put_blob(PackBuffer &pack, std::string_view content)
{
    return pack.put(ObjectType::Blob, hash_guest_blob(content), content);
}

/// git reads our pack, and would write the same index.
void check_by_git(const FinishedPack &pack)
{
    ScratchRepo repo;
    repo.put(pack);
    const std::string base = repo.packs() + "/pack-" + pack.name;
    RunResult r = repo.git("index-pack --strict -o " + repo.path() + "/judge.idx " + base + ".pack");
    CHECK_MESSAGE(r.status == 0, r.output);
    CHECK(r.output == pack.name + "\n");
    CHECK(read_file(repo.path() + "/judge.idx") == pack.index);
    r = repo.git("verify-pack " + base + ".idx");
    CHECK_MESSAGE(r.status == 0, r.output);
}

} // namespace

TEST_CASE("PackBuffer: what was put can be read, and is there once")
{
    PackBuffer pack;
    CHECK(pack.empty());
    const Placement a = put_blob(pack, "one");
    const Placement b = put_blob(pack, "");
    const std::size_t bytes = pack.bytes();
    const Placement again = put_blob(pack, "one");
    CHECK(a.pack != 0);
    CHECK(again.offset == a.offset);
    CHECK(again.pack == a.pack);
    CHECK(b.offset > a.offset);
    CHECK(pack.bytes() == bytes);
    CHECK(pack.objects() == 2);

    ObjectType type{};
    std::string content = "?";
    REQUIRE(pack.read(hash_guest_blob(""), type, content));
    CHECK(content.empty());
    REQUIRE(pack.read(hash_guest_blob("one"), type, content));
    CHECK(content == "one");
    CHECK(type == ObjectType::Blob);
    CHECK(pack.contains(hash_guest_blob("one")));
    CHECK_FALSE(pack.contains(hash_guest_blob("two")));
    CHECK_FALSE(pack.read(hash_guest_blob("two"), type, content));
}

TEST_CASE("PackBuffer: sizes around the limit of a stored block")
{
    std::mt19937 random(7);
    PackBuffer pack;
    std::vector<std::string> contents;
    for (const std::size_t size : {0u, 1u, 15u, 16u, 127u, 128u, 129u, 2047u, 2048u, 65534u, 65535u, 65536u,
                                   131070u, 131071u, 400'000u}) {
        std::string s(size, '\0');
        for (char &c : s)
            c = static_cast<char>(random());
        put_blob(pack, s);
        contents.push_back(std::move(s));
    }
    for (const std::string &s : contents) {
        ObjectType type{};
        std::string content;
        REQUIRE(pack.read(hash_guest_blob(s), type, content));
        CHECK(content == s);
    }
    const FinishedPack done = pack.finish();
    CHECK(done.objects == contents.size());
    check_by_git(done);

    ScratchRepo repo;
    repo.put(done);
    for (const std::string &s : contents) {
        const RunResult r = repo.git("cat-file blob " + hash_guest_blob(s).hex());
        CHECK(r.status == 0);
        CHECK(r.output == s);
    }
}

TEST_CASE("PackBuffer: delta chains, as git sees them")
{
    PackBuffer pack;
    std::string tree;
    for (int i = 100; i < 200; ++i)
        tree += "100644 " + std::to_string(i) + '\0' + std::string(20, static_cast<char>(i));
    std::vector<std::string> versions;
    Placement last;
    std::string before;
    unsigned deepest = 0;
    for (int v = 0; v < 100; ++v) {
        tree.replace(11, 20, std::string(20, static_cast<char>('A' + v)));
        last = pack.put(ObjectType::Tree, hash_object(ObjectType::Tree, tree), tree, v ? &last : nullptr,
                        before);
        deepest = std::max<unsigned>(deepest, last.depth);
        CHECK(last.depth == v % 32);
        versions.push_back(tree);
        before = tree;
    }
    CHECK(deepest == 31);
    for (const std::string &v : versions) {
        ObjectType type{};
        std::string content;
        REQUIRE(pack.read(hash_object(ObjectType::Tree, v), type, content));
        CHECK(type == ObjectType::Tree);
        CHECK(content == v);
    }
    const FinishedPack done = pack.finish();
    CHECK(done.pack.size() < 4 * tree.size() + 96 * 70 + 200);
    ScratchRepo repo;
    repo.put(done);
    const RunResult r = repo.git("verify-pack -v objects/pack/pack-" + done.name + ".idx");
    CHECK(r.status == 0);
    CHECK(r.output.find("chain length = 31: 3 objects") != std::string::npos);
    CHECK(r.output.find("chain length = 32") == std::string::npos);
}

TEST_CASE("PackBuffer: no delta against what is elsewhere, of another type, or no help")
{
    const std::string one(200, 'a'), two = std::string(199, 'a') + 'b';
    const auto put = [](PackBuffer &p, ObjectType t, const std::string &s, const Placement *prev,
                        const std::string &before) { return p.put(t, hash_object(t, s), s, prev, before); };
    PackBuffer first, second;
    const Placement a = put(first, ObjectType::Blob, one, nullptr, "");
    CHECK(put(first, ObjectType::Commit, two, &a, one).depth == 0);
    CHECK(put(first, ObjectType::Blob, two, &a, one).depth == 1);
    CHECK(put(second, ObjectType::Blob, two, &a, one).depth == 0);
    CHECK(put(first, ObjectType::Blob, std::string(200, 'z'), &a, one).depth == 0);
    first.finish();
    CHECK(first.empty());
    const Placement b = put(first, ObjectType::Blob, two, &a, one);
    CHECK(b.depth == 0);
    CHECK(b.pack > a.pack);
}

TEST_CASE("PackBuffer: packs of all sizes from one buffer, index as git writes it")
{
    PackBuffer pack;
    SampleHistory history(20);
    std::uint64_t serial = 0;
    for (const unsigned commits : {1u, 1u, 700u, 1u, 3u, 1500u, 2u, 40u}) {
        history.steps(pack, commits);
        CHECK(pack.objects() > 0);
        const Placement p = put_blob(pack, "marker");
        CHECK(p.pack > serial);
        serial = p.pack;
        const FinishedPack done = pack.finish();
        CHECK(pack.empty());
        CHECK(pack.bytes() == 12);
        CHECK_FALSE(pack.contains(history.tip()));
        CHECK_FALSE(pack.contains(hash_guest_blob("marker")));
        ScratchRepo repo;
        repo.put(done);
        const std::string file = repo.packs() + "/pack-" + done.name;
        const RunResult r = repo.git("index-pack -o " + repo.path() + "/judge.idx " + file + ".pack");
        CHECK_MESSAGE(r.status == 0, r.output);
        CHECK(read_file(repo.path() + "/judge.idx") == done.index);
    }
}

TEST_CASE("PackBuffer: a history that stock git accepts and clones")
{
    ScratchRepo repo;
    PackBuffer pack;
    SampleHistory history(10);
    history.keyframe(pack);
    for (int i = 0; i < 5; ++i) {
        history.steps(pack, 50);
        repo.put(pack.finish());
    }
    repo.set_ref("refs/heads/main", history.tip());
    RunResult r = repo.git("fsck --full --strict");
    CHECK_MESSAGE(r.status == 0, r.output);
    CHECK(r.output.find("error") == std::string::npos);
    CHECK(r.output.find("missing") == std::string::npos);
    r = repo.git("rev-list --count main");
    CHECK(r.output == "250\n");
    r = repo.git("show main:" + history.last_path());
    CHECK(r.output == history.last_value());
    r = repo.git("clone -q --bare file://" + repo.path() + " copy.git && git -C " + repo.path() +
                 "/copy.git fsck --full --strict");
    CHECK_MESSAGE(r.status == 0, r.output);
}
