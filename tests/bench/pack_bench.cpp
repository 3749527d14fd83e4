// SPDX-License-Identifier: MIT
// What the committer pays for objects and packs. A commit here is one leaf of one of `guests` guests:
// a blob, eight trees, a commit object.
#include "../unit/git/support/sample_history.hpp"
#include "xsgit/git/pack_store.hpp"

#include <benchmark/benchmark.h>
#include <filesystem>
#include <memory>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

constexpr unsigned kCommits = 1000;

struct Scratch {
    std::string path = "/dev/shm/xsgit-bench-XXXXXX";
    Scratch()
    {
        if (!mkdtemp(path.data()))
            abort();
    }
    ~Scratch() { std::filesystem::remove_all(path); }
};

void hash_tree(benchmark::State &state)
{
    const std::string content(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state)
        benchmark::DoNotOptimize(hash_object(ObjectType::Tree, content));
}
BENCHMARK(hash_tree)->Arg(50)->Arg(300)->Arg(5000);

void hash_guest_value(benchmark::State &state)
{
    const std::string content(static_cast<std::size_t>(state.range(0)), 'x');
    for (auto _ : state)
        benchmark::DoNotOptimize(hash_guest_blob(content));
}
BENCHMARK(hash_guest_value)->Arg(1)->Arg(50);

/// Everything up to publication: hashing, deltas, the pack in memory.
void commit(benchmark::State &state)
{
    SampleHistory history(static_cast<unsigned>(state.range(0)));
    PackBuffer pack;
    history.steps(pack, kCommits);
    std::size_t bytes = 0, objects = 0;
    for (auto _ : state) {
        state.PauseTiming();
        bytes += pack.bytes();
        objects += pack.objects();
        pack.finish();
        state.ResumeTiming();
        history.steps(pack, kCommits);
    }
    const auto commits = static_cast<double>(state.iterations() * kCommits);
    state.SetItemsProcessed(static_cast<std::int64_t>(commits));
    state.counters["bytes/commit"] = static_cast<double>(bytes) / commits;
    state.counters["objects/commit"] = static_cast<double>(objects) / commits;
}
BENCHMARK(commit)->Arg(10)->Arg(100)->Unit(benchmark::kMicrosecond);

/// put() alone: objects made before.
void put(benchmark::State &state)
{
    struct Object {
        ObjectType type;
        Oid oid;
        std::string content;
        int previous;
    };
    // Versions of directories of 300 bytes: a hole of twenty bytes moves about.
    std::vector<Object> objects;
    std::mt19937 random(1);
    constexpr int kDirs = 7;
    std::string dirs[kDirs];
    for (std::string &d : dirs)
        for (int i = 0; i < 10; ++i)
            d += "100644 child" + std::to_string(i) + '\0' + std::string(20, static_cast<char>(random()));
    for (int c = 0; c < 1000; ++c) {
        for (int d = 0; d < kDirs; ++d) {
            const std::size_t at = 34 * (random() % 10) + 14;
            for (std::size_t i = 0; i < 20; ++i)
                dirs[d][at + i] = static_cast<char>(random());
            const int previous = c ? (c - 1) * 9 + d : -1;
            objects.push_back({ObjectType::Tree, hash_object(ObjectType::Tree, dirs[d]), dirs[d], previous});
        }
        for (const std::size_t size : {10u, 230u}) {
            std::string s(size, '\0');
            for (char &ch : s)
                ch = static_cast<char>(random());
            objects.push_back({ObjectType::Blob, hash_object(ObjectType::Blob, s), s, -1});
        }
    }
    std::vector<Placement> placed(objects.size());
    PackBuffer pack;
    for (auto _ : state) {
        for (std::size_t i = 0; i < objects.size(); ++i) {
            const Object &o = objects[i];
            const auto p = static_cast<std::size_t>(o.previous);
            placed[i] = o.previous < 0 ? pack.put(o.type, o.oid, o.content)
                                       : pack.put(o.type, o.oid, o.content, &placed[p], objects[p].content);
        }
        state.PauseTiming();
        pack.finish();
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(objects.size()));
}
BENCHMARK(put);

/// finish() of packs of so many commits.
void finish(benchmark::State &state)
{
    SampleHistory history(100);
    PackBuffer pack;
    for (auto _ : state) {
        state.PauseTiming();
        history.steps(pack, static_cast<unsigned>(state.range(0)));
        state.ResumeTiming();
        benchmark::DoNotOptimize(pack.finish());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(finish)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Arg(5000)->Unit(benchmark::kMicrosecond);

/// Publication: finish and add, files on tmpfs.
void add(benchmark::State &state)
{
    Scratch scratch;
    PackStore store(scratch.path, {std::uint64_t{200} << 20, 1000, 0});
    SampleHistory history(100);
    PackBuffer pack;
    std::int64_t now = 0;
    for (auto _ : state) {
        state.PauseTiming();
        history.steps(pack, static_cast<unsigned>(state.range(0)));
        if (store.stats().packs > 500) {
            store.drop_epoch(1);
            store.maintain(now += 10'000'000);
        }
        state.ResumeTiming();
        store.add(pack.finish(), 1);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(add)->Arg(1)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

/// Merges of 100 packs; time per commit in them.
void merge(benchmark::State &state)
{
    constexpr unsigned kPacks = 100;
    const auto per_pack = static_cast<unsigned>(state.range(1));
    std::uint64_t before = 0, after = 0;
    for (auto _ : state) {
        state.PauseTiming();
        Scratch scratch;
        auto store = std::make_unique<PackStore>(scratch.path, PackStore::Limits{0, kPacks, 0});
        SampleHistory history(static_cast<unsigned>(state.range(0)));
        PackBuffer pack;
        for (unsigned i = 0; i < kPacks; ++i) {
            history.steps(pack, per_pack);
            store->add(pack.finish(), 1);
        }
        before += store->stats().bytes;
        state.ResumeTiming();
        store->maintain(0);
        state.PauseTiming();
        after += store->stats().epoch_bytes;
        store.reset();
        state.ResumeTiming();
    }
    const auto commits = static_cast<double>(state.iterations() * kPacks * per_pack);
    state.SetItemsProcessed(static_cast<std::int64_t>(commits));
    state.counters["B/commit in"] = static_cast<double>(before) / commits;
    state.counters["B/commit out"] = static_cast<double>(after) / commits;
}
BENCHMARK(merge)
    ->Args({10, 1000})
    ->Args({100, 1})
    ->Args({100, 10})
    ->Args({100, 1000})
    ->Args({1000, 10})
    ->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
