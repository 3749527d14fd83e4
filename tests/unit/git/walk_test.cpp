// SPDX-License-Identifier: MIT
#include "xsgit/git/first_parents.hpp"
#include "xsgit/git/walk.hpp"

#include "git_sandbox.hpp"

#include <doctest/doctest.h>
#include <fstream>

using namespace xsgit;
using namespace xsgit::test;

namespace {

Change change(std::uint64_t seq, const Tree &before, const Tree &after)
{
    Change c;
    c.seq = seq;
    c.wall_us = static_cast<std::int64_t>(seq) * 1'000'000;
    c.actor = {5, 1, ""};
    c.op = {OpKind::Write, "/a", "v"};
    c.before = before;
    c.after = after;
    return c;
}

/// Three commits; the third is a transaction of two steps that started from the first.
void fill(HistoryWriter &writer)
{
    const Tree t1 = write(empty_tree(), "/a", "1"), t2 = write(t1, "/b", "2");
    writer.on_change(change(1, {}, t1));
    writer.on_change(change(2, t1, t2));
    Change tx = change(3, t2, write(write(t2, "/c", "3"), "/d", "4"));
    tx.op = {OpKind::Commit, "", ""};
    tx.tx = 8;
    tx.fork_seq = 1;
    tx.fork = t1;
    const Tree s1 = write(t1, "/c", "3");
    tx.steps = {{{OpKind::Write, "/c", "3"}, s1}, {{OpKind::Write, "/d", "4"}, write(s1, "/d", "4")}};
    writer.on_change(tx);
}

} // namespace

TEST_CASE("main, newest first; a transaction's steps, oldest first")
{
    Sandbox box;
    HistoryWriter writer({}, {}, 1);
    fill(writer);
    box.publish(writer);
    HistoryWalk walk(box.repo(), writer.tips().main);
    const auto third = walk.next();
    REQUIRE(third);
    CHECK(third->trailers.seq == 3);
    CHECK(third->trailers.tx == 8);
    const auto steps = side_commits(box.repo(), third->info);
    REQUIRE(steps.size() == 2);
    CHECK(steps[0].trailers.step == 1);
    CHECK(steps[1].trailers.step == 2);
    CHECK(steps[1].info.message.starts_with("write /d = 4\n"));
    const auto second = walk.next();
    REQUIRE(second);
    CHECK(second->trailers.seq == 2);
    CHECK(side_commits(box.repo(), second->info).empty());
    CHECK(walk.next()->trailers.seq == 1);
    CHECK(!walk.next());
    CHECK(!walk.next());
    CHECK(!walk.was_cut());
    CHECK(!HistoryWalk(box.repo(), Oid{}).next());
}

TEST_CASE("history ends where it was cut off")
{
    Sandbox box;
    HistoryWriter writer({}, {}, 1);
    fill(writer);
    box.publish(writer);
    const Oid merge = writer.tips().main;
    std::ofstream(box.repo_path() + "/shallow") << merge.hex() << "\n";
    HistoryWalk walk(box.repo(), merge);
    const auto third = walk.next();
    CHECK(third);
    CHECK(side_commits(box.repo(), third->info).empty());
    CHECK(!walk.next());
    CHECK(walk.was_cut());
    HistoryWalk lost(box.repo(), *Oid::from_hex(std::string(40, '3')));
    CHECK_THROWS_AS(lost.next(), GitError);
}

TEST_CASE("an epoch is dropped while one walks")
{
    Sandbox box;
    HistoryWriter writer({}, {}, 1);
    fill(writer);
    box.publish(writer);
    const Oid last = writer.tips().main;
    writer.on_epoch({2},
                    write(write(write(write(empty_tree(), "/a", "1"), "/b", "2"), "/c", "3"), "/d", "4"));
    const Tree t = load_tree(box.repo(), writer.tips().main_tree, 2);
    writer.on_change(change(4, t, write(t, "/e", "5")));
    Sandbox later; // as if the first packs were gone
    later.publish(writer);
    HistoryWalk walk(later.repo(), writer.tips().main);
    CHECK(walk.next()->info.parents.front() == last);
    CHECK(!walk.next());
    CHECK(walk.was_cut());
    Repository &repo = later.repo();
    CHECK(side_commits(repo, *box.repo().commit(last)).empty());
}

TEST_CASE("the ids of main alone")
{
    Sandbox box;
    HistoryWriter writer({}, {}, 1);
    fill(writer);
    box.publish(writer);
    const Oid merge = writer.tips().main;
    std::vector<Oid> ids;
    for (HistoryWalk walk(box.repo(), merge); const auto c = walk.next();)
        ids.push_back(c->info.id);
    FirstParents history(box.repo(), merge);
    CHECK(history.read() == 0);
    CHECK(history.at(1) == ids[1]);
    CHECK(history.read() == 2);
    CHECK(history.find(ids[0]) == 0);
    CHECK(history.find(ids[2]) == 2);
    CHECK(!history.at(3));
    CHECK(!history.find(box.repo().commit(merge)->parents[1]));
    CHECK(history.read() == 3);
    CHECK(!history.was_cut());

    CHECK(!FirstParents(box.repo(), Oid{}).at(0));
    CHECK_THROWS_AS(FirstParents(box.repo(), writer.tips().main_tree).at(0), GitError);
    Oid missing = merge;
    missing.bytes[0] ^= 1;
    CHECK_THROWS_AS(FirstParents(box.repo(), missing).at(0), GitError);

    std::ofstream(box.repo_path() + "/shallow") << ids[1].hex() << "\n";
    FirstParents rest(box.repo(), merge);
    CHECK(!rest.find(ids[2]));
    CHECK(rest.read() == 2);
    CHECK(rest.was_cut());
}
