// SPDX-License-Identifier: MIT
#include "support/sample_history.hpp"
#include "support/scratch_repo.hpp"
#include "xsgit/git/pack_store.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <thread>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

constexpr std::uint64_t kNoLimit = 0;
constexpr std::int64_t kSecond = 1'000'000;

/// Calls maintain() until it has nothing more to do.
void settle(PackStore &store, std::int64_t now)
{
    for (int i = 0; i < 1000 && store.maintain(now); ++i)
        ;
}

void check_clean(const ScratchRepo &repo)
{
    const RunResult r = repo.git("fsck --full --strict");
    CHECK_MESSAGE(r.status == 0, r.output);
    CHECK_MESSAGE(r.output.find("missing") == std::string::npos, r.output);
    CHECK_MESSAGE(r.output.find("error") == std::string::npos, r.output);
}

std::string keep_text(const std::string &pack_path)
{
    return read_file(pack_path.substr(0, pack_path.size() - 5) + ".keep");
}

/// A repository, a store and a history that goes into it.
struct World {
    ScratchRepo repo;
    PackStore::Limits limits;
    std::unique_ptr<PackStore> store;
    PackBuffer pack;
    SampleHistory history;

    explicit World(PackStore::Limits l = {kNoLimit, 8, 30 * kSecond}, unsigned guests = 10)
        : limits(l), history(guests)
    {
        reopen();
        history.keyframe(pack);
    }
    void reopen() { store = std::make_unique<PackStore>(repo.objects(), limits); }
    void publish(unsigned commits, std::uint32_t epoch = 1)
    {
        history.steps(pack, commits);
        store->add(pack.finish(), epoch);
        repo.set_ref("refs/heads/main", history.tip());
    }
    void check_history()
    {
        check_clean(repo);
        CHECK(repo.git("rev-list --count main").output == std::to_string(history.commits()) + "\n");
        CHECK(repo.git("show main:" + history.last_path()).output == history.last_value());
    }
};

} // namespace

TEST_CASE("PackStore: a pack with its mark, and nothing else")
{
    World w;
    w.publish(10, 7);
    const auto live = w.store->live_packs();
    REQUIRE(live.size() == 1);
    CHECK(keep_text(live[0]) == "xsgit epoch 7 tier 0\n");
    CHECK(names_in(w.repo.packs()).size() == 3);
    const PackStore::Stats s = w.store->stats();
    CHECK(s.packs == 1);
    CHECK(s.current_epoch == 7);
    CHECK(s.oldest_epoch == 7);
    CHECK(s.bytes == s.epoch_bytes);
    CHECK(s.bytes > 0);
    CHECK(s.bytes % 4096 == 0);
    w.check_history();
    w.store->add(w.pack.finish(), 7); // nothing in it
    CHECK(names_in(w.repo.packs()).size() == 3);
}

TEST_CASE("PackStore: packs merge by tiers, inputs go after the grace time")
{
    World w;
    for (int i = 0; i < 7; ++i)
        w.publish(3);
    CHECK_FALSE(w.store->maintain(0));
    CHECK(w.store->stats().merges == 0);
    w.publish(3);
    CHECK_FALSE(w.store->maintain(1 * kSecond));
    PackStore::Stats s = w.store->stats();
    CHECK(s.merges == 1);
    CHECK(s.packs == 1);
    CHECK(s.bytes > s.epoch_bytes); // the inputs are still there
    CHECK(names_in(w.repo.packs(), ".idx").size() == 9);
    REQUIRE(w.store->live_packs().size() == 1);
    CHECK(keep_text(w.store->live_packs()[0]) == "xsgit epoch 1 tier 1\n");
    w.check_history();

    w.store->maintain(30 * kSecond);
    CHECK(names_in(w.repo.packs(), ".idx").size() == 9);
    w.store->maintain(31 * kSecond);
    CHECK(names_in(w.repo.packs()).size() == 3);
    s = w.store->stats();
    CHECK(s.bytes == s.epoch_bytes);
    w.check_history();

    std::int64_t now = 100 * kSecond;
    while (w.history.commits() < 3 * 64) {
        w.publish(3);
        settle(*w.store, now += kSecond);
    }
    settle(*w.store, now + 100 * kSecond);
    REQUIRE(w.store->live_packs().size() == 1);
    CHECK(keep_text(w.store->live_packs()[0]) == "xsgit epoch 1 tier 2\n");
    CHECK(names_in(w.repo.packs()).size() == 3);
    w.check_history();
}

TEST_CASE("PackStore: the same pack twice is one pack")
{
    World w;
    w.history.steps(w.pack, 5);
    const FinishedPack pack = w.pack.finish();
    w.store->add(pack, 1);
    const std::uint64_t bytes = w.store->stats().bytes;
    w.store->add(pack, 1);
    CHECK(w.store->stats().bytes == bytes);
    CHECK(w.store->stats().packs == 1);

    // A newer epoch takes it over; dropping the older one does not take it away.
    w.store->add(pack, 2);
    CHECK(w.store->stats().oldest_epoch == 2);
    CHECK(keep_text(w.store->live_packs().at(0)) == "xsgit epoch 2 tier 0\n");
    w.store->drop_epoch(1);
    CHECK(w.store->live_packs().size() == 1);

    // Dropped, in its grace time, and added again: alive.
    w.store->drop_epoch(2);
    CHECK(w.store->live_packs().empty());
    w.store->add(pack, 3);
    w.store->maintain(0);
    w.store->maintain(1000 * kSecond);
    CHECK(w.store->live_packs().size() == 1);
    w.repo.set_ref("refs/heads/main", w.history.tip());
    w.check_history();
}

TEST_CASE("PackStore: a merge of packs that were merged before gives the same pack, which stays")
{
    World w;
    for (int i = 0; i < 8; ++i)
        w.publish(2);
    w.store->maintain(0);
    REQUIRE(w.store->live_packs().size() == 1);
    const std::string merged = w.store->live_packs()[0];
    for (int i = 0; i < 3; ++i) {
        w.reopen(); // the inputs are back
        CHECK(w.store->stats().packs == 9);
        settle(*w.store, 0);
        CHECK(w.store->live_packs() == std::vector{merged});
        w.check_history();
    }
    settle(*w.store, 100 * kSecond);
    CHECK(names_in(w.repo.packs()).size() == 3);
    w.check_history();
}

TEST_CASE("PackStore: an input whose objects are all in another")
{
    World w({kNoLimit, 2, 0});
    const auto pack_of = [](std::initializer_list<const char *> values) {
        PackBuffer p;
        for (const char *v : values)
            p.put(ObjectType::Blob, hash_guest_blob(v), v);
        return p.finish();
    };
    const FinishedPack all = pack_of({"one", "two", "three"});
    w.store->add(all, 1);
    w.store->add(pack_of({"three", "one"}), 1);
    settle(*w.store, 0);
    settle(*w.store, kSecond);
    REQUIRE(w.store->live_packs().size() == 1);
    CHECK(w.store->live_packs()[0].find(all.name) != std::string::npos);
    CHECK(keep_text(w.store->live_packs()[0]) == "xsgit epoch 1 tier 1\n");
    CHECK(names_in(w.repo.packs()).size() == 3);
    CHECK(w.repo.git("cat-file blob " + hash_guest_blob("three").hex()).output == "three");
}

TEST_CASE("PackStore: epochs are not merged with each other, and one that is over becomes one pack")
{
    World w;
    for (int i = 0; i < 7; ++i)
        w.publish(2, 1);
    w.store->begin_epoch(2);
    w.history.keyframe(w.pack);
    for (int i = 0; i < 7; ++i)
        w.publish(2, 2);
    CHECK(w.store->oldest_epoch() == 1);
    settle(*w.store, 0);
    const auto live = w.store->live_packs();
    REQUIRE(live.size() == 8);
    int first = 0, second = 0;
    for (const std::string &p : live) {
        first += keep_text(p) == "xsgit epoch 1 tier 1\n";
        second += keep_text(p) == "xsgit epoch 2 tier 0\n";
    }
    CHECK(first == 1);
    CHECK(second == 7);
    w.check_history();

    // Drop the first: shallow at the first commit of the second.
    const std::string boundary = w.repo.git("rev-list main --skip=13 -1").output;
    write_file(w.repo.path() + "/shallow", boundary);
    w.store->drop_epoch(1);
    CHECK(w.store->oldest_epoch() == 2);
    CHECK(w.store->stats().dropped_epochs == 1);
    w.store->maintain(10 * kSecond);
    CHECK(names_in(w.repo.packs(), ".idx").size() > 8);
    w.store->maintain(40 * kSecond);
    CHECK(names_in(w.repo.packs(), ".idx").size() == 7);
    check_clean(w.repo);
    CHECK(w.repo.git("rev-list --count main").output == "14\n");
    const RunResult r = w.repo.git("clone -q --bare file://" + w.repo.path() + " copy.git");
    CHECK_MESSAGE(r.status == 0, r.output);
}

TEST_CASE("PackStore: what is there is found again, what is half there goes")
{
    World w;
    for (int i = 0; i < 3; ++i)
        w.publish(4, 5);
    w.publish(1, 6);
    const auto live = w.store->live_packs();
    const auto stats = w.store->stats();
    const std::string dir = w.repo.packs() + "/";
    const auto stem = [&](char c) { return dir + "pack-" + std::string(40, c); };
    write_file(dir + "xsgit_tmp_1_1", "half");
    write_file(stem('a') + ".keep", "xsgit epoch 6 tier 0\n"); // killed after the first rename
    write_file(stem('b') + ".keep", "xsgit epoch 6 tier 0\n"); // after the second
    write_file(stem('b') + ".pack", "PACK");
    write_file(stem('c') + ".keep", "xsgit epoch 6 tier 0\n"); // a user took the pack away
    write_file(stem('c') + ".idx", "x");
    write_file(stem('d') + ".keep", "a user's\n"); // not ours
    write_file(stem('e') + ".keep", "xsgit epoch 6 tier 0 or so\n");
    w.reopen();
    CHECK(w.store->live_packs() == live);
    CHECK(w.store->stats().current_epoch == 6);
    CHECK(w.store->stats().oldest_epoch == 5);
    CHECK(w.store->stats().bytes == stats.bytes + 2 * 4096); // the keeps of others
    CHECK_FALSE(exists(dir + "xsgit_tmp_1_1"));
    for (const char c : {'a', 'b', 'c'})
        for (const char *suffix : {".keep", ".pack", ".idx"})
            CHECK_FALSE(exists(stem(c) + suffix));
    CHECK(exists(stem('d') + ".keep"));
    CHECK(exists(stem('e') + ".keep"));
    w.check_history();
}

TEST_CASE("PackStore: gc, repack and prune of a user leave our packs alone")
{
    World w({kNoLimit, 8, 0});
    for (int i = 0; i < 20; ++i) {
        w.publish(5);
        settle(*w.store, i * kSecond);
        if (i % 5 == 4) {
            const auto before = w.store->live_packs();
            RunResult r = w.repo.git("gc -q --prune=now");
            CHECK_MESSAGE(r.status == 0, r.output);
            r = w.repo.git("repack -adq");
            CHECK_MESSAGE(r.status == 0, r.output);
            for (const std::string &p : before)
                CHECK(exists(p));
            w.reopen();
            CHECK(w.store->live_packs().size() == before.size());
        }
    }
    w.check_history();
}

TEST_CASE("PackStore: packs that a user took away are forgotten")
{
    World w({kNoLimit, 4, 0});
    for (int i = 0; i < 4; ++i)
        w.publish(5);
    const auto live = w.store->live_packs();
    // The user insists: no .keep, and everything into a pack of their own.
    for (const std::string &name : names_in(w.repo.packs(), ".keep"))
        unlink((w.repo.packs() + "/" + name).c_str());
    REQUIRE(w.repo.git("gc -q --prune=now").status == 0);
    for (const std::string &p : live)
        CHECK_FALSE(exists(p));
    settle(*w.store, 0);
    settle(*w.store, 10 * kSecond);
    CHECK(w.store->live_packs().empty());
    CHECK(w.store->stats().packs == 0);
    CHECK(w.store->stats().bytes > 0); // theirs counts
    w.publish(5);
    w.check_history();
}

TEST_CASE("PackStore: one input vanished, the others are merged")
{
    World w({kNoLimit, 8, 30 * kSecond});
    for (int i = 0; i < 9; ++i)
        w.publish(2);
    settle(*w.store, 0); // the first rescan is over
    for (int i = 0; i < 9; ++i)
        w.publish(2);
    const std::string copy = w.repo.path() + "/saved";
    const std::string victim = w.store->live_packs().at(3);
    const std::string stem = victim.substr(0, victim.size() - 5);
    REQUIRE(run("mkdir " + copy + " && cp " + stem + ".pack " + stem + ".idx " + copy).status == 0);
    unlink(victim.c_str());
    settle(*w.store, kSecond);
    CHECK(w.store->stats().merges == 2);
    CHECK(w.store->live_packs().size() == 2);
    CHECK_FALSE(exists(stem + ".idx"));
    CHECK_FALSE(exists(stem + ".keep"));
    REQUIRE(run("cp " + copy + "/pack-* " + w.repo.packs()).status == 0);
    w.check_history();
}

TEST_CASE("PackStore: a damaged pack is left as it is")
{
    World w({kNoLimit, 4, 0});
    for (int i = 0; i < 4; ++i)
        w.publish(2);
    const std::string victim = w.store->live_packs().at(1);
    const std::string good = read_file(victim);
    unlink(victim.c_str()); // the file itself is read-only
    write_file(victim, good.substr(0, good.size() / 2));
    settle(*w.store, 0);
    settle(*w.store, kSecond);
    CHECK(exists(victim));
    CHECK(w.store->stats().merges == 1);
    CHECK(w.store->live_packs().size() == 2);
    write_file(victim, good);
    w.check_history();
}

TEST_CASE("PackStore: a user's multi-pack-index does not outlive the packs it names")
{
    World w({kNoLimit, 8, 0});
    for (int i = 0; i < 8; ++i)
        w.publish(2);
    REQUIRE(w.repo.git("multi-pack-index write").status == 0);
    CHECK(exists(w.repo.packs() + "/multi-pack-index"));
    w.check_history();
    settle(*w.store, 0);
    settle(*w.store, kSecond);
    CHECK(names_in(w.repo.packs(), ".pack").size() == 1);
    CHECK_FALSE(exists(w.repo.packs() + "/multi-pack-index"));
    w.check_history();
}

TEST_CASE("PackStore: nor does a commit graph, in either of its forms")
{
    for (const char *form : {"commit-graph write --reachable", "commit-graph write --reachable --split"}) {
        World w({kNoLimit, 8, 0});
        for (int i = 0; i < 8; ++i)
            w.publish(2);
        REQUIRE(w.repo.git(form).status == 0);
        const std::string info = w.repo.packs() + "/../info/";
        CHECK((exists(info + "commit-graph") || exists(info + "commit-graphs/commit-graph-chain")));
        settle(*w.store, 0);
        settle(*w.store, kSecond);
        CHECK_FALSE(exists(info + "commit-graph"));
        CHECK_FALSE(exists(info + "commit-graphs/commit-graph-chain"));
        w.check_history();
    }
}

TEST_CASE("PackStore: others' packs and loose objects count, and are noticed within seconds")
{
    World w;
    w.publish(2);
    const std::uint64_t ours = w.store->stats().bytes;
    REQUIRE(w.repo.git("hash-object -w -t blob " + w.repo.path() + "/config").status == 0);
    w.store->maintain(0);
    CHECK(w.store->stats().bytes == ours + 4096);
    REQUIRE(w.repo.git("repack -qadk").status == 0); // nothing of theirs is in a kept pack: a new pack
    write_file(w.repo.packs() + "/pack-" + std::string(40, '1') + ".pack", std::string(10'000, 'x'));
    w.store->maintain(1 * kSecond);
    CHECK(w.store->stats().bytes == ours + 4096);
    w.store->maintain(4 * kSecond);
    CHECK(w.store->stats().bytes > ours + 3 * 4096);
    CHECK(w.store->stats().epoch_bytes == ours);
}

TEST_CASE("PackStore: the limit holds, whatever the grace time")
{
    constexpr std::uint64_t kLimit = 3 << 20;
    World w({kLimit, 8, 3600 * kSecond}, 20);
    std::uint32_t epoch = 1;
    std::uint64_t most = 0;
    std::map<std::uint32_t, unsigned> first_commit{{1, 1}};
    for (int i = 0; i < 1000; ++i) {
        w.publish(20, epoch);
        if (w.store->wants_epoch()) {
            w.store->begin_epoch(++epoch);
            w.history.keyframe(w.pack);
            first_commit[epoch] = w.history.commits() + 1;
            CHECK_FALSE(w.store->wants_epoch());
        }
        while (w.store->wants_drop()) {
            const std::uint32_t oldest = w.store->oldest_epoch();
            REQUIRE(oldest < epoch);
            first_commit.erase(oldest);
            // All that is older than the next epoch's first commit is given up.
            const unsigned behind = w.history.commits() - first_commit.begin()->second;
            write_file(w.repo.path() + "/shallow",
                       w.repo.git("rev-list main --skip=" + std::to_string(behind) + " -1").output);
            w.store->drop_epoch(oldest);
        }
        settle(*w.store, i * kSecond / 20);
        most = std::max(most, w.store->stats().bytes);
        if (i % 300 == 299)
            check_clean(w.repo);
    }
    CHECK(most <= kLimit);
    CHECK(most > kLimit / 2); // and is made use of
    const PackStore::Stats s = w.store->stats();
    CHECK(s.dropped_epochs > 3);
    CHECK(s.current_epoch - s.oldest_epoch >= 3);
    CHECK(s.packs < 60);
    const RunResult du = run("du -s -B1 --apparent-size " + w.repo.packs());
    CHECK(std::stoull(du.output) <= kLimit);
    check_clean(w.repo);
}

TEST_CASE("PackStore: 300 packs at once")
{
    World w({kNoLimit, 300, 0}, 40);
    for (int i = 0; i < 300; ++i)
        w.publish(1);
    const std::uint64_t before = w.store->stats().bytes;
    settle(*w.store, 0);
    settle(*w.store, kSecond);
    CHECK(w.store->stats().packs == 1);
    CHECK(w.store->stats().merges == 1);
    CHECK(w.store->stats().bytes < before / 4);
    w.check_history();
}

TEST_CASE("PackStore: add, maintain and stock git at the same time")
{
    World w({kNoLimit, 4, 100'000});
    w.publish(1);
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        while (!stop) {
            w.publish(10);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    std::thread maintainer([&] {
        const auto start = std::chrono::steady_clock::now();
        while (!stop) {
            const auto now = std::chrono::steady_clock::now() - start;
            w.store->maintain(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
            (void)w.store->stats();
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    });
    for (int i = 0; i < 4; ++i) {
        const std::string copy = w.repo.path() + "/copy" + std::to_string(i);
        RunResult r = w.repo.git("gc -q --prune=now");
        CHECK_MESSAGE(r.status == 0, r.output);
        r = w.repo.git("clone -q --bare file://" + w.repo.path() + " " + copy);
        CHECK_MESSAGE(r.status == 0, r.output);
        r = run("git -C " + copy + " fsck --full --strict");
        CHECK_MESSAGE(r.status == 0, r.output);
    }
    stop = true;
    writer.join();
    maintainer.join();
    CHECK(w.store->stats().merges > 2);
    w.check_history();
}
