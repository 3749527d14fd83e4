// SPDX-License-Identifier: MIT
// What one change costs the committer, from tree to objects in memory; publishing included once per 1,000.
#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/repository.hpp"
#include "xsgit/git/tree_encoder.hpp"

#include <benchmark/benchmark.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace {

using namespace xsgit;

constexpr unsigned kCommitsPerPack = 1000;

/// Guests as a toolstack makes them: 46 leaves below the guest, 22 of its backends.
class Guests {
public:
    explicit Guests(unsigned n) : tree_(Tree::with_root(PermList::from_text("n0,r7")))
    {
        for (unsigned g = 0; g < n; ++g) {
            const std::string id = std::to_string(g + 1), home = "/local/domain/" + id;
            const std::string own = "n" + id + ",r0";
            for (unsigned i = 0; i < 22; ++i)
                put(home + "/control/key" + std::to_string(i), "value", own);
            for (unsigned dev = 0; dev < 2; ++dev)
                for (unsigned i = 0; i < 12; ++i) {
                    const std::string key = i == 0 ? "state" : "key" + std::to_string(i);
                    put(home + "/device/vif/" + std::to_string(dev) + "/" + key, "4", own);
                    if (i < 11)
                        put("/local/domain/0/backend/vif/" + id + "/" + std::to_string(dev) + "/" + key, "4",
                            "n0,r5");
                }
        }
    }
    const Tree &tree() const { return tree_; }

private:
    void put(const std::string &path, std::string_view value, std::string_view perms)
    {
        const Path p = Path::trusted(path);
        if (!p.parent().is_root() && !tree_.find(p.parent()))
            put(p.parent().str(), "", perms);
        tree_ = std::move(tree_).put(p, Node::make(p.name(), Bytes::make(value), PermList::from_text(perms)));
    }
    Tree tree_;
};

Change start(const Tree &t)
{
    Change c;
    c.seq = 1;
    c.after = t;
    return c;
}

/// A write of a random guest's "state": depth 7.
class Writes {
public:
    explicit Writes(unsigned guests) : guests_(guests) {}
    void next(const Tree &t, Change &c)
    {
        path_ = "/local/domain/" + std::to_string(random_() % guests_ + 1) + "/device/vif/0/state";
        value_ = std::to_string(random_() % 6 + 1);
        const Path p = Path::trusted(path_);
        c.op = {OpKind::Write, path_, value_};
        c.before = t;
        c.after = t.put(p, t.find(p)->with_value(Bytes::make(value_)));
        c.wall_us += 100;
        c.actor = {5, 17, "pid 4242 xenstore-write"};
        ++c.seq;
    }

private:
    unsigned guests_;
    std::mt19937 random_{7};
    std::string path_, value_;
};

void change_the_tree(benchmark::State &state)
{
    const auto n = static_cast<unsigned>(state.range(0));
    Tree t = Guests(n).tree();
    Writes writes(n);
    Change c;
    for (auto _ : state) {
        writes.next(t, c);
        t = c.after;
    }
}

void commit_a_write(benchmark::State &state)
{
    const auto n = static_cast<unsigned>(state.range(0));
    Tree t = Guests(n).tree();
    HistoryWriter writer({}, {}, 1);
    writer.on_change(start(t));
    writer.pack().finish();
    Writes writes(n);
    Change c = start(t);
    std::size_t bytes = 0, commits = 0;
    for (auto _ : state) {
        writes.next(t, c);
        writer.on_change(c);
        t = c.after;
        if (++commits % kCommitsPerPack == 0) {
            const FinishedPack pack = writer.pack().finish();
            bytes += pack.pack.size() + pack.index.size();
        }
    }
    if (commits >= kCommitsPerPack)
        state.counters["bytes"] = static_cast<double>(bytes / (commits - commits % kCommitsPerPack));
}

void commit_a_transaction(benchmark::State &state)
{
    const auto n = static_cast<unsigned>(state.range(0));
    Tree t = Guests(n).tree();
    HistoryWriter writer({}, {}, 1);
    writer.on_change(start(t));
    writer.pack().finish();
    Writes writes(n);
    Change c = start(t);
    for (auto _ : state) {
        Change tx;
        tx.seq = c.seq + 1;
        tx.op = {OpKind::Commit, "", ""};
        tx.tx = 1;
        tx.fork_seq = c.seq;
        tx.fork = tx.before = t;
        for (unsigned step = 0; step < 13; ++step) {
            writes.next(t, c);
            tx.steps.push_back({{OpKind::Write, "/local/domain/1/device/vif/0/state", "1"}, c.after});
            t = c.after;
        }
        tx.after = t;
        writer.on_change(tx);
        c.seq = tx.seq;
        if (c.seq % 50 == 0)
            benchmark::DoNotOptimize(writer.pack().finish());
    }
}

void write_a_keyframe(benchmark::State &state)
{
    Tree t = Guests(static_cast<unsigned>(state.range(0))).tree();
    PackBuffer pack;
    encode_tree({}, t, 1, pack);
    std::uint32_t epoch = 1;
    for (auto _ : state) {
        pack.finish();
        encode_keyframe(t, ++epoch, pack);
    }
    state.counters["objects"] = pack.objects();
}

void load(benchmark::State &state)
{
    Tree t = Guests(static_cast<unsigned>(state.range(0))).tree();
    PackBuffer pack;
    const Oid id = encode_tree({}, t, 1, pack);
    std::string dir = (std::filesystem::temp_directory_path() / "xsgit-bench-XXXXXX").string();
    if (!mkdtemp(dir.data()))
        std::abort();
    const std::string path = dir + "/store.git";
    Repository::create(path);
    const FinishedPack done = pack.finish();
    for (const auto &[end, bytes] : {std::pair{".pack", &done.pack}, std::pair{".idx", &done.index}})
        std::ofstream(path + "/objects/pack/pack-" + done.name + end, std::ios::binary) << *bytes;
    std::size_t nodes = 0;
    std::vector<const Node *> todo{t.root().get()};
    while (!todo.empty()) {
        const Node *const n = todo.back();
        todo.pop_back();
        ++nodes;
        for (auto c = n->children().begin(); c.get(); c.next())
            todo.push_back(c.get());
    }
    const auto repo = Repository::open(path);
    for (auto _ : state)
        benchmark::DoNotOptimize(load_tree(*repo, id, 1));
    state.counters["per_node"] =
        benchmark::Counter(static_cast<double>(nodes) * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    std::filesystem::remove_all(dir);
}

BENCHMARK(change_the_tree)->Arg(100);
BENCHMARK(commit_a_write)->Arg(10)->Arg(100)->Arg(1000)->Arg(10000);
BENCHMARK(commit_a_transaction)->Arg(100);
BENCHMARK(write_a_keyframe)->Arg(100)->Unit(benchmark::kMillisecond);
BENCHMARK(load)->Arg(100)->Arg(10000)->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
