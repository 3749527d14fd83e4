// SPDX-License-Identifier: MIT
#include "xsgit/git/commit_message.hpp"

#include "git_sandbox.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::test;

namespace {

Change simple_change()
{
    Change c;
    c.seq = 12345;
    c.wall_us = 1'700'000'000'123'456;
    c.actor = {5, 17, "pid 4242 xenstore-write"};
    c.op = {OpKind::Write, "/local/domain/5/name", "vm5"};
    return c;
}

} // namespace

TEST_CASE("subjects")
{
    CHECK(subject_of({OpKind::Write, "/a/b", "v"}) == "write /a/b = v");
    CHECK(subject_of({OpKind::Write, "/a", ""}) == "write /a = \"\"");
    CHECK(subject_of({OpKind::Write, "/a", " v"}) == "write /a = \" v\"");
    CHECK(subject_of({OpKind::Write, "/a", "x\n\nSeq: 7\n\x1b[2J"}) == "write /a = x\\n\\nSeq: 7\\n\\x1b[2J");
    CHECK(subject_of({OpKind::Mkdir, "/a", ""}) == "mkdir /a");
    CHECK(subject_of({OpKind::Rm, "/a", ""}) == "rm /a");
    CHECK(subject_of({OpKind::SetPerms, "/a", "n0,r5"}) == "set-perms /a = n0,r5");
    CHECK(subject_of({OpKind::Start, "", ""}) == "start");
    CHECK(subject_of({OpKind::Write, "/a", std::string(41, 'x')}) ==
          "write /a = " + std::string(40, 'x') + "...");
    const std::string path = "/" + std::string(2000, 'p');
    CHECK(subject_of({OpKind::Rm, path, ""}) == "rm " + path);
}

TEST_CASE("messages on main carry their trailers, in order")
{
    Change c = simple_change();
    CHECK(main_message(c) == "write /local/domain/5/name = vm5\n\n"
                             "Seq: 12345\nConn: 17 (pid 4242 xenstore-write)\nTime: 1700000000123456\n");
    c.actor = {0, 0, ""};
    CHECK(main_message(c) == "write /local/domain/5/name = vm5\n\nSeq: 12345\nTime: 1700000000123456\n");
    c.actor = {5, 3, "evil\nSeq: 9"};
    CHECK(main_message(c).find("Conn: 3 (evil\\nSeq: 9)\n") != std::string::npos);
}

TEST_CASE("transactions list their operations")
{
    Change c = simple_change();
    c.op = {OpKind::Commit, "", ""};
    c.tx = 3;
    c.steps = {{{OpKind::Mkdir, "/a", ""}, {}}, {{OpKind::Write, "/a/b", "1"}, {}}};
    CHECK(main_message(c) ==
          "commit 2 operations\n\nmkdir /a\nwrite /a/b = 1\n\n"
          "Seq: 12345\nConn: 17 (pid 4242 xenstore-write)\nTx: 3\nTime: 1700000000123456\n");
    CHECK(step_message(c, 2) ==
          "write /a/b = 1\n\n"
          "Seq: 12345.2\nConn: 17 (pid 4242 xenstore-write)\nTx: 3\nTime: 1700000000123456\n");
    c.steps.assign(61, {{OpKind::Rm, "/x", ""}, {}});
    const std::string many = main_message(c);
    CHECK(many.starts_with("commit 61 operations\n\nrm /x\n"));
    CHECK(many.find("rm /x\n... and 11 more\n\nSeq: ") != std::string::npos);
    c.steps.resize(1);
    CHECK(main_message(c).starts_with("commit 1 operation\n\nrm /x\n\n"));
}

TEST_CASE("trailers are read back")
{
    Change c = simple_change();
    c.tx = 3;
    c.steps = {{{OpKind::Mkdir, "/a", ""}, {}}};
    Trailers t = parse_trailers(main_message(c));
    CHECK(t.seq == 12345);
    CHECK(t.step == 0);
    CHECK(t.conn == "17 (pid 4242 xenstore-write)");
    CHECK(t.tx == 3);
    CHECK(t.time_us == c.wall_us);
    CHECK(parse_trailers(step_message(c, 1)).step == 1);

    t = parse_trailers("a subject\n");
    CHECK(t.seq == 0);
    CHECK(!t.tx);
    // Only the last paragraph counts, and only what is a number there.
    t = parse_trailers("s\n\nSeq: 5\n\nTx: x\nSeq: 6y\nTime: 7");
    CHECK(t.seq == 6);
    CHECK(!t.tx);
    CHECK(t.time_us == 7);
    CHECK(parse_trailers("Seq: 5\n").seq == 0);
    CHECK(parse_trailers("").seq == 0);
}

TEST_CASE("a conflict is told as message, log and summary")
{
    Conflict c;
    c.number = 4;
    c.wall_us = 1'700'000'000'000'001;
    c.actor = {5, 17, ""};
    c.tx = 9;
    c.base_seq = 100;
    c.head_seq = 103;
    c.culprit_seq = 102;
    c.log = {{{OpKind::Read, "/a", ""}, "1"},
             {{OpKind::Directory, "/d", ""}, std::string_view("x\0y\0", 4)},
             {{OpKind::Write, "/b", "2"}, "OK"},
             {{OpKind::Read, "/none", ""}, "ENOENT"}};
    c.differs = 0;
    c.reply_now = "2";
    Oid culprit;
    culprit.bytes[19] = 0xab;
    CHECK(conflict_message(c, culprit) == "conflict: read /a = 1, would now be 2\n\n"
                                          "Number: 4\nConn: 17\nTx: 9\nBase-Seq: 100\nHead-Seq: 103\n"
                                          "Culprit-Seq: 102\n"
                                          "Culprit: 00000000000000000000000000000000000000ab\n"
                                          "Time: 1700000000000001\n");
    const Trailers t = parse_trailers(conflict_message(c, culprit));
    CHECK(t.conflict_number == 4);
    CHECK(t.base_seq == 100);
    CHECK(t.head_seq == 103);
    CHECK(t.culprit_seq == 102);
    CHECK(t.culprit == culprit);
    CHECK(conflict_log(c) == "> read /a = 1\n      now: 2\n  directory /d = x y\n  write /b = 2: OK\n"
                             "  read /none = ENOENT\n");
    c.differs = 2;
    c.reply_now = "EACCES";
    c.culprit_seq = 0;
    CHECK(
        conflict_message(c, std::nullopt).starts_with("conflict: write /b = 2: OK, would now be EACCES\n\n"));
    CHECK(conflict_message(c, std::nullopt).find("Culprit") == std::string::npos);
    CHECK(conflict_summary(c, std::nullopt) == "Transaction 9 of domain 5, connection 17,\n"
                                               "started at #100 and refused at #103 with EAGAIN.\n\n"
                                               "Request 3 of 4:\n  write /b = 2: OK\nwould now be answered:\n"
                                               "  EACCES\n");
}

TEST_CASE("of a long conflict the middle is left out, never the request that differs")
{
    Conflict c;
    c.log.assign(60'000, {{OpKind::Read, "/a", ""}, "1"});
    c.log[30'000].op.path = "/here";
    c.differs = 30'000;
    const std::string log = conflict_log(c);
    CHECK(log.find("> read /here = 1\n") != std::string::npos);
    CHECK(log.size() < 30'000);
    CHECK(log.find("  ... 29500 requests\n") != std::string::npos);
    c.differs = 60'000; // not one of them
    CHECK(conflict_log(c).size() < 30'000);
    CHECK(conflict_message(c, std::nullopt).starts_with("conflict: 60000 requests\n"));
}

TEST_CASE("stock git reads our commits")
{
    Sandbox box;
    PackBuffer pack;
    const Oid tree = hash_object(ObjectType::Tree, "");
    pack.put(ObjectType::Tree, tree, "");
    Change c = simple_change();
    const std::string text = commit_object(tree, {}, c.actor.domid, c.wall_us, main_message(c));
    const Oid id = hash_object(ObjectType::Commit, text);
    pack.put(ObjectType::Commit, id, text);
    box.publish(pack);
    box.repo().write_ref("refs/heads/main", id);
    box.fsck();
    CHECK(
        box.git_ok("log -1 --format='%an|%ae|%at|%cn|%ce|%ct|%s|%(trailers:key=Seq,valueonly,separator=)'") ==
        "dom5|5@xen|1700000000|xenstored|xs@xen|1700000000|write /local/domain/5/name = vm5|12345");
    CHECK(box.git_ok("log --author='<5@xen>' --format=%H") == id.hex());
    // Before 1970 seconds are rounded down.
    CHECK(commit_object(tree, {}, 0, -1, "m").find("> -1 +0000") != std::string::npos);
}
