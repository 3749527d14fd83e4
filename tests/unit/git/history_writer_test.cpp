// SPDX-License-Identifier: MIT
#include "xsgit/git/history_writer.hpp"

#include "git_sandbox.hpp"
#include "slow_encoder.hpp"

#include "xsgit/git/commit_message.hpp"

#include <doctest/doctest.h>
#include <fstream>

using namespace xsgit;
using namespace xsgit::test;

namespace {

std::string number(std::uint64_t n) { return std::to_string(n); }

/// Makes changes as the engine would.
class Driver {
public:
    explicit Driver(Sandbox &box) : box_(box), writer_(std::make_unique<HistoryWriter>(Tips{}, Tree{}, 1))
    {
        change({OpKind::Start, "", ""}, empty_tree());
    }

    HistoryWriter &writer() { return *writer_; }
    const Tree &tree() const { return tree_; }
    Tree &tree() { return tree_; }

    void change(const Operation &op, const Tree &after)
    {
        Change c = next(op);
        c.after = after;
        writer_->on_change(c);
        tree_ = after;
    }
    void write_value(const std::string &path, const std::string &value)
    {
        change({OpKind::Write, path, value}, write(tree_, path, value));
    }
    /// One write per step on `fork`, replayed on the head.
    void transaction(std::uint64_t fork_seq, const Tree &fork, const std::vector<std::string> &paths)
    {
        Change c = next({OpKind::Commit, "", ""});
        c.tx = 4;
        c.fork_seq = fork_seq;
        c.fork = fork;
        Tree side = fork;
        c.after = c.before;
        for (const std::string &p : paths) {
            side = write(side, p, "tx");
            c.after = write(c.after, p, "tx");
            c.steps.push_back({{OpKind::Write, p, "tx"}, side});
        }
        writer_->on_change(c);
        tree_ = c.after;
    }
    void conflict(std::uint64_t culprit)
    {
        Conflict c;
        c.number = writer_->tips().conflicts_number + 1;
        c.wall_us = 1'700'000'000'000'000;
        c.actor = {7, 3, "pid 1 test"};
        c.tx = 2;
        c.base_seq = 1;
        c.head_seq = writer_->tips().seq;
        c.log = {{{OpKind::Read, "/a", ""}, "1"}, {{OpKind::Write, "/b", "x"}, "OK"}};
        c.reply_now = "2";
        c.culprit_seq = culprit;
        writer_->on_conflict(c);
    }
    void epoch(std::uint32_t n)
    {
        box_.publish(*writer_);
        writer_->on_epoch({n}, tree_);
    }
    /// What a restart does: all is read back.
    void restart()
    {
        box_.publish(*writer_);
        const Tips tips = writer_->tips();
        const EpochStart start = writer_->epoch_start();
        const std::uint32_t epoch = writer_->epoch();
        tree_ = load_tree(box_.repo(), tips.main_tree, epoch);
        writer_ = std::make_unique<HistoryWriter>(tips, tree_, epoch, start, &box_.repo());
    }

private:
    Change next(const Operation &op)
    {
        Change c;
        c.seq = writer_->tips().seq + 1;
        c.wall_us = 1'700'000'000'000'000 + static_cast<std::int64_t>(c.seq) * 1'000'000;
        c.actor = {5, 17, ""};
        c.op = op;
        c.before = tree_;
        return c;
    }

    Sandbox &box_;
    std::unique_ptr<HistoryWriter> writer_;
    Tree tree_;
};

} // namespace

TEST_CASE("one commit per change, in order")
{
    Sandbox box;
    Driver d(box);
    d.write_value("/local/domain/5/name", "vm5");
    d.write_value("/local/domain/5/name", std::string("\0binary\n", 8));
    d.write_value("/local/domain/5/name", std::string("\0binary\n", 8)); // nothing changes: still a commit
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("log --first-parent --format=%s main") == "write /local/domain/5/name = \\x00binary\\n\n"
                                                               "write /local/domain/5/name = \\x00binary\\n\n"
                                                               "write /local/domain/5/name = vm5\nstart");
    CHECK(box.git("show main:local/domain/5/name").out == std::string("\0binary\n", 8));
    CHECK(box.git_ok("show main~2:local/domain/5/name") == "vm5");
    CHECK(box.git_ok("rev-parse main^{tree}") == slow_encode(d.tree(), hashing_maker()));
    CHECK(box.git_ok("diff --name-only main~3 main~2") ==
          "local/%perms\nlocal/domain/%perms\nlocal/domain/5/%perms\nlocal/domain/5/name");
    const Tips &tips = d.writer().tips();
    CHECK(tips.seq == 4);
    CHECK(box.git_ok("rev-parse main") == tips.main.hex());
    CHECK(d.writer().commit_of(4) == tips.main);
    CHECK(d.writer().commit_of(1)->hex() == box.git_ok("rev-parse main~3"));
    CHECK(!d.writer().commit_of(5));
    CHECK(!d.writer().commit_of(0));
    CHECK(d.writer().epoch_start().seq == 1);
    CHECK(d.writer().epoch_start().main == d.writer().commit_of(1));
}

TEST_CASE("a transaction is a branch that is merged")
{
    Sandbox box;
    Driver d(box);
    d.write_value("/a", "1");
    const Tree fork = d.tree();
    d.write_value("/b", "2");
    d.transaction(2, fork, {"/x/1", "/x/2"});
    d.transaction(4, d.tree(), {"/y"}); // nothing came between; one step: a merge all the same
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("log --first-parent --format=%s main") ==
          "commit 1 operation\ncommit 2 operations\nwrite /b = 2\nwrite /a = 1\nstart");
    CHECK(box.git_ok("log --graph --format=%s main").find("*   commit 2 operations") != std::string::npos);
    CHECK(box.git_ok("rev-parse main^2~1") == box.git_ok("rev-parse main^1"));
    CHECK(box.git_ok("rev-parse main^^2~2") == box.git_ok("rev-parse main~3"));
    CHECK(box.git_ok("log --format=%s main~2..main^^2") == "write /x/2 = tx\nwrite /x/1 = tx");
    // The steps stand on the tree where it started; the merge has both.
    CHECK(box.git("show main^^2:b").status != 0);
    CHECK(box.git_ok("show main^^2:x/2") == "tx");
    CHECK(box.git("show main^^2~1:x/2").status != 0);
    CHECK(box.git_ok("show main^:b") == "2");
    CHECK(box.git_ok("show main^:x/2") == "tx");
    CHECK(box.git_ok("diff --name-only main^^2~2 main^^2~1") == "x/%perms\nx/1");
    CHECK(box.git_ok("rev-parse main^2^{tree}") == box.git_ok("rev-parse main^{tree}"));
}

TEST_CASE("conflicts have a branch of their own")
{
    Sandbox box;
    Driver d(box);
    d.write_value("/a", "2");
    d.conflict(2);
    d.conflict(0);
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("log --format=%s conflicts") ==
          "conflict: read /a = 1, would now be 2\nconflict: read /a = 1, would now be 2");
    CHECK(box.git_ok("log -1 --format='%an %(trailers:key=Culprit,valueonly,separator=)' conflicts~1") ==
          "dom7 " + box.git_ok("rev-parse main"));
    CHECK(box.git_ok("ls-tree --name-only conflicts") == "log\nsummary");
    CHECK(box.git("show conflicts:log").out == "> read /a = 1\n      now: 2\n  write /b = x: OK\n");
    CHECK(box.git_ok("show conflicts~1:summary").find("commit " + box.git_ok("rev-parse main")) !=
          std::string::npos);
}

TEST_CASE("a restart leaves no trace in the ids")
{
    Sandbox box, other;
    Driver d(box), uninterrupted(other);
    for (Driver *one : {&d, &uninterrupted}) {
        const auto restart = [&] {
            if (one == &d)
                d.restart();
        };
        one->write_value("/a", "1");
        const Tree fork = one->tree();
        one->write_value("/b", "1");
        restart();
        one->conflict(2); // a commit of before the restart
        one->transaction(2, fork, {"/x"});
        one->write_value("/c", "1");
        restart();
        one->epoch(2);
        restart();
        one->conflict(3); // of the old epoch: not named
        one->transaction(4, one->tree(), {"/y"});
        one->write_value("/c", "2");
        restart();
        one->conflict(6);
        one->transaction(6, one->tree(), {"/z"});
        one->epoch(3);
    }
    CHECK(d.writer().tips().main == uninterrupted.writer().tips().main);
    CHECK(d.writer().tips().conflicts == uninterrupted.writer().tips().conflicts);
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("log --format='%(trailers:key=Culprit-Seq,valueonly,separator=)"
                     "%(trailers:key=Culprit,valueonly,separator=)' conflicts") ==
          "6" + box.git_ok("rev-parse main~2") + "\n3\n2" + box.git_ok("rev-parse main~6"));
}

TEST_CASE("an epoch stands alone once the older ones are dropped")
{
    Sandbox box;
    Driver d(box);
    for (unsigned i = 0; i < 200; ++i)
        d.write_value("/d/" + number(i), number(i));
    const Tree old = d.tree();
    d.conflict(3);
    const Oid carried = d.writer().tips().conflicts;
    d.epoch(2);
    CHECK(d.writer().epoch_start().seq == 0);
    CHECK(d.writer().epoch_start().main.is_null());
    CHECK(d.writer().epoch_start().conflicts == carried);
    // Only what this epoch wrote goes into the next repository.
    const auto seq = d.writer().tips().seq;
    d.transaction(seq, d.tree(), {"/d/7", "/new/one"});
    d.write_value("/d/8", "eight");
    d.transaction(seq + 2, d.tree(), {"/d/9"});
    d.conflict(seq + 2);
    Sandbox fresh_box;
    std::ofstream(fresh_box.repo_path() + "/shallow") << d.writer().epoch_start().main.hex() << "\n"
                                                      << d.writer().epoch_start().side.hex() << "\n"
                                                      << d.writer().epoch_start().conflicts.hex() << "\n";
    CHECK(d.writer().epoch_start().seq == seq + 1);
    fresh_box.publish(d.writer());
    fresh_box.fsck();
    CHECK(fresh_box.git_ok("rev-list --first-parent --count main") == "3");
    CHECK(fresh_box.git_ok("rev-list --count conflicts") == "2");
    CHECK(fresh_box.git_ok("show conflicts~1:summary").starts_with("Transaction 2"));
    CHECK(fresh_box.git_ok("rev-parse main^{tree}") == slow_encode(d.tree(), hashing_maker()));
    const Tree loaded = load_tree(fresh_box.repo(), d.writer().tips().main_tree, 2);
    CHECK(loaded.equal(d.tree()));
    REQUIRE(run("git clone -q --bare file://" + fresh_box.repo_path() + " " + fresh_box.dir() + "/clone")
                .status == 0);
    CHECK(run("git -C " + fresh_box.dir() + "/clone fsck --full --strict").status == 0);
}

TEST_CASE("a transaction that started before the epoch forks from the tip")
{
    Sandbox box;
    Driver d(box);
    d.write_value("/a", "1");
    const Tree fork = d.tree();
    d.write_value("/a", "2");
    d.epoch(2);
    d.write_value("/a", "3");
    const Oid tip = d.writer().tips().main;
    d.transaction(2, fork, {"/x"});
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("rev-parse main^2~1") == tip.hex());
    CHECK(box.git_ok("rev-parse main^1") == tip.hex());
    CHECK(box.git_ok("rev-parse main^{tree}") == slow_encode(d.tree(), hashing_maker()));
}

TEST_CASE("commits of this epoch and the one before can be named")
{
    Sandbox box;
    Driver d(box);
    Oid id;
    id.bytes[0] = 7;
    d.writer().remember(100, id);
    CHECK(d.writer().commit_of(100) == id);
    d.write_value("/a", "1");
    const std::uint64_t first = d.writer().tips().seq;
    const Oid commit = d.writer().tips().main;
    CHECK(d.writer().commit_of(first) == commit);
    d.epoch(2); // transactions that started there may be open
    CHECK(d.writer().commit_of(first) == commit);
    d.write_value("/a", "2");
    CHECK(d.writer().commit_of(first) == commit);
    d.epoch(3);
    CHECK(!d.writer().commit_of(first));
    CHECK(d.writer().commit_of(first + 1) == d.writer().tips().main);
}

TEST_CASE("stock git bisects, blames and clones what we write")
{
    Sandbox box;
    Driver d(box);
    for (unsigned i = 0; i < 60; ++i) {
        const Tree fork = d.tree();
        const auto seq = d.writer().tips().seq;
        d.write_value("/local/domain/" + number(i % 9) + "/state", number(i));
        d.transaction(seq, fork, {"/tx/" + number(i), "/tx/" + number(i + 1000)});
        if (i % 7 == 0)
            box.publish(d.writer());
    }
    box.publish(d.writer());
    box.fsck();
    CHECK(box.git_ok("rev-list --first-parent --count main") == "121");
    CHECK(box.git_ok("rev-list --count main") == "241");
    CHECK(box.git_ok("log --first-parent --format=%s -1 -- local/domain/3/state") ==
          "write /local/domain/3/state = 57");
    const std::string clone = box.dir() + "/clone";
    REQUIRE(run("git clone -q " + box.repo_path() + " " + clone).status == 0);
    const Ran bisect =
        run("cd " + clone +
            " && git bisect start --first-parent HEAD $(git rev-list --max-parents=0 HEAD) "
            "&& git bisect run sh -c '! test -e tx/30' && git log -1 --format=%s refs/bisect/bad");
    CAPTURE(bisect.out);
    CHECK(bisect.status == 0);
    CHECK(bisect.out.ends_with("commit 2 operations\n"));
}
