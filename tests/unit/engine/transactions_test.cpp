// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;
using Strings = std::vector<std::string>;

namespace {

struct Sink final : ChangeSink {
    struct Seen {
        std::uint64_t seq, fork;
        std::size_t steps;
        bool same_tree;
    };
    std::vector<Seen> changes;
    std::vector<std::pair<std::string, std::uint64_t>> conflicts; // path that differed, culprit
    void on_change(const Change &c) override
    {
        changes.push_back(
            {c.seq, c.fork_seq, c.steps.size(), !c.steps.empty() && c.steps.back().after.equal(c.after)});
    }
    void on_conflict(const Conflict &c) override
    {
        conflicts.emplace_back(std::string(c.log[c.differs].op.path), c.culprit_seq);
    }
    void on_epoch(const NewEpoch &, const Tree &) override {}
};

} // namespace

TEST_CASE("a transaction is a snapshot, commits at once, aborts without trace")
{
    World w;
    const auto a = w.connect(), b = w.connect();
    w.write(a, "/x", "1");
    const auto t = w.begin(a);
    CHECK(w.ask(a, MsgType::TransactionStart, args({""}), t) == "EBUSY");
    w.write(b, "/y", "from b");
    CHECK(w.read(a, "/y", t) == "ENOENT");
    w.write(a, "/x", "2", t);
    CHECK(w.read(a, "/x", t) == "2");
    CHECK(w.read(b, "/x") == "1");
    CHECK(w.ask(a, MsgType::TransactionEnd, args({"x"}), t) == "EINVAL");
    CHECK(w.end(a, t, false) == "OK");
    CHECK(w.read(a, "/x") == "1");
    CHECK(w.end(a, t) == "ENOENT");
    CHECK(w.ask(a, MsgType::TransactionEnd, args({"T"})) == "ENOENT");
}

TEST_CASE("the culprit: the newest commit that changed what the request saw")
{
    Sink sink;
    World w(&sink);
    const auto a = w.connect(), b = w.connect();
    w.write(a, "/dir/sub/leaf", "1");
    w.write(a, "/dir/other", "1");
    // Reads `path` in a transaction that also writes; `change` happens meanwhile, between two that change nothing of it.
    const auto culprit = [&](MsgType read, const std::string &path, const auto &change) {
        const auto t = w.begin(a);
        w.ask(a, read, args({path}), t);
        w.write(a, "/mine", std::to_string(w.state.seq()), t);
        w.write(b, "/dir/other", std::to_string(w.state.seq()));
        change();
        const auto seq = w.state.seq();
        w.write(b, "/dir/other", std::to_string(w.state.seq()));
        w.write(b, "/dir/other/below/" + std::to_string(w.state.seq()), "");
        const std::size_t before = sink.conflicts.size();
        CHECK(w.end(a, t) == "EAGAIN");
        return sink.conflicts.size() == before + 1 && sink.conflicts.back().second == seq;
    };
    CHECK(culprit(MsgType::Read, "/dir/sub/leaf", [&] { w.write(b, "/dir/sub/leaf", "2"); }));
    CHECK(culprit(MsgType::Directory, "/dir/sub", [&] { w.write(b, "/dir/sub/new", ""); }));
    CHECK(culprit(MsgType::Read, "/dir/a/b/c", [&] { w.write(b, "/dir/a/b/c", "made with all above"); }));
    CHECK(culprit(MsgType::Directory, "/dir/sub", [&] { w.ask(b, MsgType::Rm, args({"/dir/sub/new"})); }));
    CHECK(culprit(MsgType::Read, "/dir/a/b/c", [&] { w.ask(b, MsgType::Rm, args({"/dir/a"})); }));
    CHECK(culprit(MsgType::GetPerms, "/dir/sub", [&] {
        w.ask(b, MsgType::SetPerms, args({"/dir/sub", "n0", "r7"}));
    }));
    CHECK(culprit(MsgType::Read, "/dir/sub/leaf", [&] {
        const auto t = w.begin(b);
        w.write(b, "/dir/sub/leaf", "3", t);
        w.write(b, "/else", "3", t);
        w.end(b, t);
    }));
}

TEST_CASE("conflict: EAGAIN only if an answer would differ; it names the culprit")
{
    Sink sink;
    World w(&sink);
    const auto a = w.connect(), b = w.connect();
    w.write(a, "/x", "1");
    const auto t = w.begin(a);
    w.read(a, "/x", t);
    w.write(a, "/z", "new", t);
    w.write(b, "/other", "1");
    w.write(b, "/x", "2");
    const auto culprit = w.state.seq();
    w.write(b, "/other", "2");
    CHECK(w.end(a, t) == "EAGAIN");
    REQUIRE(sink.conflicts.size() == 1);
    CHECK(sink.conflicts[0] == std::pair<std::string, std::uint64_t>("/x", culprit));
    CHECK(w.read(a, "/z") == "ENOENT");

    // Siblings made at the same time merge; the same node does not.
    const auto t1 = w.begin(a), t2 = w.begin(b), t3 = w.begin(b);
    w.write(a, "/dir/one", "", t1);
    w.write(b, "/dir/two", "", t2);
    w.write(b, "/dir/one", "", t3);
    CHECK(w.end(a, t1) == "OK");
    CHECK(w.end(b, t2) == "OK"); // who made /dir is nothing that it saw
    CHECK(w.end(b, t3) == "EAGAIN");
    const auto t4 = w.begin(a), t5 = w.begin(b);
    w.write(a, "/dir/three", "", t4);
    w.write(b, "/dir/four", "", t5);
    CHECK(w.end(a, t4) == "OK");
    CHECK(w.end(b, t5) == "OK");
    CHECK(sink.changes.back().steps == 1);
}

TEST_CASE("conflict: a request that a limit refused does not shift the one that differs")
{
    Sink sink;
    World w(&sink);
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    const auto ring = w.last_attached();
    w.write(a, "/local/domain/5/name", "1");
    w.ask(a, MsgType::SetPerms, args({"/local/domain/5/name", "n5"}), 0, "5 1 45");
    w.ask(a, MsgType::SetQuota, args({"5", "path-max", "10"}));
    const auto t = w.begin(ring);
    CHECK(w.read(ring, "name", t) == "1");
    CHECK(w.read(ring, "name/too/long/by/far", t) == "EINVAL");
    CHECK(w.read(ring, "none", t) == "EACCES");
    w.write(ring, "name", "2", t);
    w.write(a, "/local/domain/5/none", "");
    w.ask(a, MsgType::SetPerms, args({"/local/domain/5/none", "n5"}), 0, "5 1 45");
    CHECK(w.end(ring, t) == "EAGAIN");
    REQUIRE(sink.conflicts.size() == 1);
    CHECK(sink.conflicts[0] == std::pair<std::string, std::uint64_t>("/local/domain/5/none", w.state.seq()));
}

TEST_CASE("events of a commit: before the reply, in order of first access, what came and went is silent")
{
    World w;
    const auto a = w.connect(), b = w.connect();
    w.write(a, "/k/one", "1");
    w.write(a, "/k/two", "2");
    w.ask(b, MsgType::Watch, args({"/k", "t"}));
    w.ask(b, MsgType::Watch, args({"/k/gone/deep", "d"}));
    w.write(a, "/k/gone/deep", "");
    const auto t = w.begin(a);
    w.read(a, "/k/two", t);
    w.write(a, "/k/one", "11", t);
    w.write(a, "/k/one", "12", t);
    w.write(a, "/k/two", "22", t);
    w.write(a, "/k/tmp", "", t);
    w.ask(a, MsgType::Rm, args({"/k/tmp"}), t);
    w.ask(a, MsgType::Rm, args({"/k/gone"}), t);
    CHECK(w.events.empty());
    CHECK(w.end(a, t) == "OK");
    CHECK(w.events == Strings{"2:/k/two", "2:/k/one", "2:/k/gone", "2:/k/gone/deep"});
}

TEST_CASE("the same transaction on an unmoved and on a moved main: same tree, same outputs")
{
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        World still, moved;
        for (World *w : {&still, &moved}) {
            w->connect();
            w->connect();
            w->ask(2, MsgType::Watch, args({"/", "r"}));
            w->ask(2, MsgType::Watch, args({"/a/b", "x"}));
            w->ask(2, MsgType::Watch, args({"/a/b/c", "y"}));
            w->write(1, "/a/b/c", "0");
        }
        // Unrelated traffic: before the transaction in one world, during it in the other.
        still.write(2, "/elsewhere/n", "1");
        const auto t = still.begin(1);
        CHECK(moved.begin(1) == t);
        const int requests = 1 + static_cast<int>(random() % 8);
        static const char *const names[] = {"/a", "/a/b", "/a/b/c", "/a/d", "/a/d/e", "/q"};
        for (int i = 0; i < requests; ++i) {
            const std::string path = names[random() % 6];
            const auto what = random() % 5;
            for (World *w : {&still, &moved}) {
                switch (what) {
                case 0:
                    w->write(1, path, std::to_string(round), t);
                    break;
                case 1:
                    w->ask(1, MsgType::Rm, args({path}), t);
                    break;
                case 2:
                    w->ask(1, MsgType::Mkdir, args({path}), t);
                    break;
                case 3:
                    w->read(1, path, t);
                    break;
                case 4:
                    w->ask(1, MsgType::SetPerms, args({path, "n0", "r3"}), t, "3 1");
                    break;
                }
            }
        }
        moved.write(2, "/elsewhere/n", "1");
        CHECK(still.end(1, t) == moved.end(1, t));
        CHECK(still.events == moved.events);
        CHECK(still.state.tree().equal(moved.state.tree()));
        CHECK(still.state.seq() == moved.state.seq());
    }
}

TEST_CASE("XSA-484: RESET_WATCHES inside a transaction ends it and answers")
{
    World w;
    const auto a = w.connect();
    const auto t = w.begin(a);
    w.write(a, "/x", "", t);
    CHECK(w.ask(a, MsgType::ResetWatches, args({""}), t) == "OK");
    CHECK(w.read(a, "/x", t) == "ENOENT");
    CHECK(w.end(a, t) == "ENOENT");
}

TEST_CASE("a new epoch moves old transactions onto main or dooms them")
{
    World w;
    const auto a = w.connect(), b = w.connect();
    w.write(a, "/x", "1");
    const auto keeps = w.begin(a), loses = w.begin(a);
    w.write(a, "/new", "v", keeps);
    w.read(a, "/x", loses);
    w.write(b, "/x", "2");
    for (int i = 0; i < 2; ++i) {
        Event e;
        e.kind = EventKind::Epoch;
        w.run(e);
    }
    CHECK(w.state.epoch() == 3);
    CHECK(w.read(a, "/x", keeps) == "2"); // it had not looked
    CHECK(w.end(a, keeps) == "OK");
    CHECK(w.end(a, loses) == "EAGAIN");
}
