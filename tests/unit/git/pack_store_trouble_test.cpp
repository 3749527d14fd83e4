// SPDX-License-Identifier: MIT
// No room, and death at any instant.
#include "support/sample_history.hpp"
#include "support/scratch_repo.hpp"
#include "xsgit/git/pack_store.hpp"

#include <atomic>
#include <csignal>
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace xsgit;
using namespace xsgit::test;

namespace {

constexpr std::int64_t kSecond = 1'000'000;

void check_clean(const ScratchRepo &repo)
{
    const RunResult r = repo.git("fsck --full --strict");
    CHECK_MESSAGE(r.status == 0, r.output);
    CHECK_MESSAGE(r.output.find("missing") == std::string::npos, r.output);
}

std::size_t temporaries(const ScratchRepo &repo)
{
    std::size_t n = 0;
    for (const std::string &name : names_in(repo.packs()))
        n += name.find("tmp") != std::string::npos;
    return n;
}

/// A small tmpfs, if we may mount one.
struct TinyFs {
    ScratchDir dir;
    bool mounted;
    explicit TinyFs(const char *size)
        : mounted(mount("tmpfs", dir.path().c_str(), "tmpfs", 0,
                        (std::string("mode=0700,size=") + size).c_str()) == 0)
    {
    }
    ~TinyFs()
    {
        if (mounted)
            umount2(dir.path().c_str(), MNT_DETACH);
    }
};

} // namespace

TEST_CASE("PackStore: a full file system is an exception, and nothing is left of the attempt")
{
    TinyFs fs("1m");
    if (!fs.mounted) {
        MESSAGE("may not mount a tmpfs: see the test of EFBIG");
        return;
    }
    ScratchRepo repo(fs.dir.path());
    PackStore store(repo.objects(), {0, 4, 3600 * kSecond});
    PackBuffer pack;
    SampleHistory history(10);
    history.keyframe(pack);
    Oid published;
    unsigned count = 0, merges_before_full = 0;
    bool full = false;
    for (int i = 0; i < 10'000 && !full; ++i) {
        history.steps(pack, 10);
        const FinishedPack done = pack.finish();
        const std::size_t files = names_in(repo.packs()).size();
        try {
            store.add(done, 1);
            published = history.tip();
            count = history.commits();
            store.maintain(i);
            merges_before_full = static_cast<unsigned>(store.stats().merges);
        } catch (const std::system_error &e) {
            full = true;
            CHECK(e.code().value() == ENOSPC);
            CHECK(names_in(repo.packs()).size() <= files); // packs in their grace time went
            CHECK_FALSE(exists(repo.packs() + "/pack-" + done.name + ".keep"));
        }
    }
    CHECK(full);
    CHECK(merges_before_full > 3);
    CHECK(temporaries(repo) == 0);
    // Nothing waits any more: all that was in its grace time has been given up for room.
    CHECK(store.stats().bytes == store.stats().epoch_bytes);
    CHECK_NOTHROW(store.maintain(10 * kSecond));
    CHECK(temporaries(repo) == 0);
    REQUIRE(run("mount -o remount,size=4m " + fs.dir.path()).status == 0);
    repo.set_ref("refs/heads/main", published);
    check_clean(repo);
    CHECK(repo.git("rev-list --count main").output == std::to_string(count) + "\n");
}

TEST_CASE("PackStore: a pack that is written again, as after a restart, is not taken for one that vanished")
{
    ScratchRepo repo;
    PackStore store(repo.objects(), {0, 1000, 0});
    PackBuffer pack;
    SampleHistory history(10);
    history.keyframe(pack);
    std::vector<FinishedPack> packs;
    for (int i = 0; i < 400; ++i) { // more than one getdents() gives
        history.steps(pack, 1);
        packs.push_back(pack.finish());
        store.add(packs.back(), 1);
    }
    std::int64_t now = 0;
    std::size_t lost = 0;
    for (int i = 0; i < 30 && lost == 0; ++i) {
        std::atomic<bool> done = false;
        std::thread writer([&] {
            for (const FinishedPack &p : packs)
                store.add(p, 1);
            done = true;
        });
        while (!done)
            store.maintain(now += 3600 * kSecond); // time enough for a look at all files, each time
        writer.join();
        for (const FinishedPack &p : packs)
            lost += !exists(repo.packs() + "/pack-" + p.name + ".idx");
    }
    CHECK(lost == 0);
    repo.set_ref("refs/heads/main", history.tip());
    check_clean(repo);
}

TEST_CASE("PackStore: a file that may not grow (EFBIG)")
{
    ScratchRepo repo;
    PackBuffer pack;
    SampleHistory history(10);
    history.keyframe(pack);
    PackStore store(repo.objects(), {0, 2, 0});
    store.add(pack.finish(), 1);
    history.steps(pack, 200);
    const FinishedPack large = pack.finish();
    const auto before = store.stats();

    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small{large.pack.size() / 2, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int code = 0;
    try {
        store.add(large, 1);
    } catch (const std::system_error &e) {
        code = e.code().value();
    }
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(code == EFBIG);
    CHECK(names_in(repo.packs()).size() == 3);
    CHECK(store.stats().bytes == before.bytes);

    store.add(large, 1);
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK_NOTHROW(store.maintain(0)); // no merge, and no failure
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(store.stats().merges == 0);
    CHECK(temporaries(repo) == 0);
    CHECK(store.stats().packs == 2);
    store.maintain(5 * kSecond);
    CHECK(store.stats().merges == 1);
    std::signal(SIGXFSZ, old_handler);
    repo.set_ref("refs/heads/main", history.tip());
    check_clean(repo);
}

TEST_CASE("PackStore: killed thirty times, always valid")
{
    ScratchRepo repo;
    const PackStore::Limits limits{0, 3, 2000};
    std::uint64_t merges_seen = 0, commits = 0;
    for (unsigned round = 1; round <= 30; ++round) {
        const std::string ref = "refs/heads/round" + std::to_string(round);
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            // Each round is a history of its own, so that every published commit is judged.
            PackStore store(repo.objects(), limits);
            SampleHistory history(4, round);
            PackBuffer pack;
            history.keyframe(pack);
            for (std::int64_t now = 0;; now += 500) {
                history.steps(pack, 1 + static_cast<unsigned>(now / 500 % 5));
                store.add(pack.finish(), 1 + round / 10);
                repo.set_ref(ref, history.tip());
                store.maintain(now);
            }
        }
        for (int i = 0; i < 20'000 && !exists(repo.path() + "/" + ref); ++i)
            usleep(1000); // the machine may be slow
        usleep(10'000 + round * 1237 % 20'000);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
        if (round % 5 == 0)
            check_clean(repo); // as the kill left it
    }
    check_clean(repo);
    // Everything that a ref was given to is there.
    for (unsigned round = 1; round <= 30; ++round) {
        const std::string ref = "round" + std::to_string(round);
        const std::string count = repo.git("rev-list --count " + ref).output;
        CHECK(repo.git("log -1 --format='%(trailers:key=Seq,valueonly,separator=)' " + ref).output == count);
        commits += std::stoul(count);
    }
    CHECK(commits > 100);

    PackStore store(repo.objects(), limits);
    CHECK(temporaries(repo) == 0);
    for (const char *suffix : {".pack", ".idx", ".keep"})
        CHECK(names_in(repo.packs(), suffix).size() == store.live_packs().size());
    for (int i = 0; i < 1000 && store.maintain(i); ++i)
        ;
    store.maintain(kSecond);
    merges_seen = store.stats().merges;
    CHECK(merges_seen > 0);
    CHECK(store.stats().packs < 20);
    check_clean(repo);
    RunResult r = repo.git("gc -q --prune=now");
    CHECK_MESSAGE(r.status == 0, r.output);
    check_clean(repo);
    r = repo.git("clone -q --mirror file://" + repo.path() + " copy.git");
    CHECK_MESSAGE(r.status == 0, r.output);
}
