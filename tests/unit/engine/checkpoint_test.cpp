// SPDX-License-Identifier: MIT
// Save, load, compare: after random traffic the loaded state is the same and goes on the same way.
#include "world.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

std::string name_of(std::uint64_t seq) { return (std::to_string(seq) + std::string(20, '.')).substr(0, 20); }

/// What a repository does for the real one: trees by commit.
struct Trees final : ChangeSink {
    std::map<std::string, Tree> at;
    void on_change(const Change &c) override { at[name_of(c.seq)] = c.after; }
    void on_conflict(const Conflict &) override {}
    void on_epoch(const NewEpoch &, const Tree &) override {}
};

void traffic(World &w, std::mt19937 &random)
{
    static const char *const names[] = {"/a", "/a/b", "/a/b/c", "rel", "rel/d", "/e"};
    const auto known = w.state.connections();
    const std::uint64_t conn = known[random() % known.size()].id;
    const std::string path = names[random() % 6];
    const std::uint32_t tx = random() % 3 == 0 ? 1 + static_cast<std::uint32_t>(random() % 4) : 0;
    switch (random() % 14) {
    case 9:
        w.introduce(1, 4 + static_cast<std::uint32_t>(random() % 3));
        break;
    case 10:
        w.ask(1, MsgType::SetPerms, args({path, random() % 2 ? "b4" : "b5", "r6"}), tx,
              "4 1 104;5 1 105;6 1 106");
        break;
    case 11:
        w.ask(1, MsgType::SetQuota,
              args({std::to_string(4 + random() % 3), random() % 2 ? "nodes" : "node-size",
                    random() % 3 ? "45" : "2"}),
              0, "4 1 104;5 1 105;6 1 106");
        break;
    case 12:
        if (random() % 4 == 0)
            w.ask(1, MsgType::Release, args({std::to_string(4 + random() % 3)}));
        else
            w.ask(1, MsgType::SetTarget, args({"4", "5"}));
        break;
    case 13:
        w.news(random() % 4 ? "5 105 shutdown" : "6 106 dead");
        break;
    case 0:
    case 1:
        w.write(conn, path, std::to_string(random() % 5), tx);
        break;
    case 2:
        w.ask(conn, MsgType::Rm, args({path}), tx);
        break;
    case 3:
        w.ask(conn, MsgType::Watch, args({path, std::to_string(random() % 3)}));
        break;
    case 4:
        w.ask(conn, MsgType::Unwatch, args({path, std::to_string(random() % 3)}));
        break;
    case 5:
        w.ask(conn, MsgType::TransactionStart, args({""}));
        break;
    case 6:
        w.end(conn, tx, random() % 4 != 0);
        break;
    case 7:
        w.read(conn, path, tx);
        break;
    case 8:
        w.ask(conn, MsgType::SetPerms, args({path, "n0", "r4"}), tx, "4 0");
        break;
    }
}

} // namespace

TEST_CASE("a state comes back from its stream and continues alike")
{
    std::mt19937 random(7);
    for (int round = 0; round < 30; ++round) {
        Trees trees;
        World a(&trees);
        for (int i = 0; i < 4; ++i)
            a.connect(i == 3 ? 4 : 0);
        for (int i = 0; i < 300; ++i)
            traffic(a, random);
        StreamWriter writer;
        a.state.save(writer, [](std::uint64_t seq) { return name_of(seq); });
        const std::string stream = writer.finish();

        World b;
        b.state = State();
        b.requests = a.requests;
        StreamReader reader(stream);
        while (auto r = reader.next()) {
            CHECK(b.state.load_record(*r, [&](std::string_view id) { return trees.at.at(std::string(id)); }));
            if (r->type() == 0x78730002)
                b.state.load_tree(a.state.tree());
        }
        CHECK(a.state.describe() == b.state.describe());

        std::mt19937 again = random;
        for (int i = 0; i < 300; ++i) {
            traffic(a, random);
            const std::uint64_t hash = a.out.hash();
            traffic(b, again);
            REQUIRE(b.out.hash() == hash);
        }
        CHECK(a.state.describe() == b.state.describe());
        CHECK(a.state.tree().equal(b.state.tree()));
    }
}
