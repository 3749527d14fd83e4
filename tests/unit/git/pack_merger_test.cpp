// SPDX-License-Identifier: MIT
#include "support/sample_history.hpp"
#include "support/scratch_repo.hpp"
#include "xsgit/git/pack_merger.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <set>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// Packs on disk that are merged into another repository.
struct Bench {
    ScratchRepo from, to;
    std::vector<std::string> names;
    std::set<Oid> ids;
    std::uint64_t bytes = 0;

    void add(PackBuffer &pack)
    {
        const FinishedPack done = pack.finish();
        from.put(done);
        names.push_back(done.name);
        bytes += done.pack.size() + done.index.size();
    }

    MergedPack merge()
    {
        const int dir = open(from.packs().c_str(), O_RDONLY | O_DIRECTORY);
        std::vector<PackReader> inputs(names.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
            REQUIRE(inputs[i].open(dir, names[i]) == PackReader::State::Good);
            for (const auto &e : inputs[i].entries())
                ids.insert(e.oid);
        }
        close(dir);
        std::string pack;
        MergedPack merged = merge_packs(inputs, [&pack](std::string_view piece) { pack.append(piece); });
        CHECK(merged.bytes == pack.size());
        CHECK(merged.objects == ids.size());
        to.put({merged.name, pack, merged.index, merged.objects});
        return merged;
    }

    /// git finds it whole, would index it as we did, and reads what it read before.
    void judge(const MergedPack &merged, const char *how = "--strict")
    {
        const std::string file = to.packs() + "/pack-" + merged.name;
        RunResult r =
            to.git(std::string("index-pack ") + how + " -o " + to.path() + "/judge.idx " + file + ".pack");
        CHECK_MESSAGE(r.status == 0, r.output);
        CHECK(r.output == merged.name + "\n");
        CHECK(read_file(to.path() + "/judge.idx") == merged.index);
        const std::string list = to.path() + "/ids";
        std::string lines;
        for (const Oid &id : ids)
            lines += id.hex() + "\n";
        write_file(list, lines);
        const RunResult before = from.git("cat-file --batch < " + list);
        const RunResult after = to.git("cat-file --batch < " + list);
        CHECK(before.status == 0);
        CHECK(before.output.find("missing") == std::string::npos);
        CHECK((before.output == after.output));
    }

    /// Longest chain of deltas in what was merged.
    unsigned deepest(const MergedPack &merged)
    {
        const RunResult r = to.git("verify-pack -v objects/pack/pack-" + merged.name + ".idx");
        CHECK(r.status == 0);
        unsigned depth = 0;
        for (std::size_t at = 0; (at = r.output.find("chain length = ", at)) != r.output.npos; at += 15)
            depth = std::max(depth, static_cast<unsigned>(std::stoul(r.output.substr(at + 15))));
        return depth;
    }
};

} // namespace

TEST_CASE("merge_packs: a history in packs of many sizes")
{
    Bench b;
    PackBuffer pack;
    SampleHistory history(30);
    history.keyframe(pack);
    for (const unsigned commits : {1u, 400u, 1u, 2u, 900u, 30u, 33u, 1u}) {
        history.steps(pack, commits);
        b.add(pack);
    }
    const MergedPack merged = b.merge();
    b.judge(merged);
    CHECK(merged.bytes + merged.index.size() < b.bytes);
    CHECK(b.deepest(merged) <= 63);
    b.to.set_ref("refs/heads/main", history.tip());
    const RunResult r = b.to.git("fsck --full --strict");
    CHECK_MESSAGE(r.status == 0, r.output);
    CHECK(b.to.git("rev-list --count main").output == "1368\n");
}

TEST_CASE("merge_packs: 300 packs of one commit shrink to what they say")
{
    Bench b;
    PackBuffer pack;
    SampleHistory history(40);
    history.keyframe(pack);
    b.add(pack);
    for (int i = 0; i < 300; ++i) {
        history.step(pack);
        b.add(pack);
    }
    const MergedPack merged = b.merge();
    b.judge(merged);
    CHECK(b.deepest(merged) <= 63);
    // Each of these packs has seven trees in full; merged, nearly all are deltas.
    CHECK(merged.bytes + merged.index.size() < b.bytes / 3);
}

TEST_CASE("merge_packs: copies of one object at different depths")
{
    // Every pack repeats the last version of the one before, so the chains join at each seam.
    Bench b;
    std::string tree;
    for (int i = 100; i < 200; ++i)
        tree += "100644 " + std::to_string(i) + '\0' + std::string(20, static_cast<char>(i));
    int version = 0;
    for (int p = 0; p < 6; ++p) {
        PackBuffer pack;
        Placement last;
        std::string before;
        for (int i = 0; i < 32; ++i) {
            const Placement now = pack.put(ObjectType::Tree, hash_object(ObjectType::Tree, tree), tree,
                                           i ? &last : nullptr, before);
            CHECK(now.depth == i);
            last = now;
            before = tree;
            if (i < 31) {
                tree.replace(11, 20, std::string(20, static_cast<char>(++version)));
                tree.replace(41, 20, std::string(20, static_cast<char>(version / 7)));
            }
        }
        b.add(pack);
    }
    const MergedPack merged = b.merge();
    CHECK(merged.objects == 6 * 31 + 1);
    b.judge(merged, ""); // the trees name no real objects
    CHECK(b.deepest(merged) <= 63);
    CHECK(b.deepest(merged) > 31); // they did join
}

TEST_CASE("merge_packs: merging again and again stays within the depth")
{
    Bench b;
    PackBuffer pack;
    SampleHistory history(3);
    history.keyframe(pack);
    for (int round = 0; round < 6; ++round) {
        history.steps(pack, 70);
        b.add(pack);
        const MergedPack merged = b.merge();
        CHECK(b.deepest(merged) <= 63);
        b.judge(merged);
        // The result is an input of the next round.
        for (const char *suffix : {".pack", ".idx"})
            write_file(b.from.packs() + "/pack-" + merged.name + suffix,
                       read_file(b.to.packs() + "/pack-" + merged.name + suffix));
        b.names = {merged.name};
        if (round % 3 == 0 && round)
            b.names.insert(b.names.begin(), b.names.front()); // and once more: nothing but duplicates
    }
}

TEST_CASE("PackReader: damage is noticed")
{
    ScratchRepo repo;
    PackBuffer pack;
    SampleHistory history(2);
    history.keyframe(pack);
    history.steps(pack, 20);
    const FinishedPack good = pack.finish();
    const int dir = open(repo.packs().c_str(), O_RDONLY | O_DIRECTORY);
    const auto state = [&](const FinishedPack &p) {
        repo.put(p);
        PackReader reader;
        return reader.open(dir, p.name);
    };
    CHECK(state(good) == PackReader::State::Good);
    FinishedPack bad = good;
    bad.pack.resize(bad.pack.size() - 1);
    CHECK(state(bad) == PackReader::State::Damaged);
    bad = good;
    bad.index.resize(100);
    CHECK(state(bad) == PackReader::State::Damaged);
    bad = good;
    bad.pack.clear();
    CHECK(state(bad) == PackReader::State::Damaged);
    bad = good;
    bad.pack[12] = 0x70; // a REF_DELTA, which we never write
    CHECK(state(bad) == PackReader::State::Damaged);
    bad = good;
    bad.pack[11] = static_cast<char>(bad.pack[11] + 1);
    CHECK(state(bad) == PackReader::State::Damaged);
    PackReader reader;
    CHECK(reader.open(dir, std::string(40, '0')) == PackReader::State::Gone);

    // Any byte of the index or of an entry may be wrong: never a crash.
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        bad = good;
        std::string &victim = round % 2 ? bad.index : bad.pack;
        victim[random() % victim.size()] = static_cast<char>(random());
        repo.put(bad);
        PackReader r;
        if (r.open(dir, bad.name) != PackReader::State::Good)
            continue;
        std::string content;
        for (std::uint32_t i = 0; i < r.entries().size(); i += 5)
            r.content(i, content);
    }
    close(dir);
}
