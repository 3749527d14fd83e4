// SPDX-License-Identifier: MIT
// The log of small stores, as text and through its filters; revisions.
#include "inspect/failure.hpp"
#include "inspect/json.hpp"
#include "inspect/log_text.hpp"
#include "inspect/revision.hpp"
#include "tests/unit/inspect/store.hpp"

#include <doctest/doctest.h>
#include <fstream>

using namespace xsgit;
using namespace xsgit::inspect;
using inspect::test::TestStore;

namespace {

/// "#3 write /a" for each entry, newest first; conflicts as "!1".
std::string brief(const RepositoryView &view, const LogOptions &o)
{
    TreeReader reader(view.repo());
    LogWalk walk(view, reader, o, view.tip(), view.conflicts());
    std::string out;
    while (const auto e = walk.next()) {
        const LogRecord &r = e->record;
        out += r.kind == LogRecord::Kind::Conflict ? "!" + std::to_string(r.conflict)
                                                   : "#" + std::to_string(r.seq);
        out += " " + r.op + (r.path.empty() ? "" : " " + r.path);
        for (const LogRecord &s : e->steps)
            out += " ." + std::to_string(s.step) + " " + s.op + " " + s.path;
        out += "\n";
        const auto again = walk.entry(r.id);
        REQUIRE(again);
        CHECK(short_text(*again, true) == short_text(*e, true));
    }
    return out;
}

std::string brief(const RepositoryView &view, const LogFilter &f)
{
    LogOptions o;
    o.filter = f;
    return brief(view, o);
}

LogFilter paths(std::initializer_list<const char *> list)
{
    LogFilter f;
    for (const char *p : list)
        f.paths.push_back(Path::trusted(p));
    return f;
}

int code_of(const RepositoryView &view, const char *spec)
{
    try {
        resolve(view, spec, true);
        return kOk;
    } catch (const ToolFailure &e) {
        return e.code;
    }
}

/// #1 start, #2 and #3 d0, #4 a transaction of d0 with two steps, #5 d5, then a refused one, #6 d0.
void fill(TestStore &s)
{
    const auto d0 = s.connect();
    const auto d5 = s.connect(5);
    s.write(d0, "/local/domain/5", "");
    s.set_perms(d0, "/local/domain/5", {"n5"});
    const auto tx = s.begin(d0);
    s.write(d0, "/vm/x/name", "guest\n", tx);
    s.mkdir(d0, "/vm/x/device", tx);
    REQUIRE(s.commit(d0, tx) == "OK");
    const auto late = s.begin(d0);
    REQUIRE(s.read(d0, "/local/domain/5/state", late) == "ENOENT");
    s.write(d0, "/other", "1", late);
    s.write(d5, "state", "1");
    REQUIRE(s.commit(d0, late) == "EAGAIN");
    s.rm(d0, "/vm");
}

} // namespace

TEST_CASE("the default line")
{
    TestStore s;
    fill(s);
    s.publish();
    const auto view = RepositoryView::open(s.path);
    CHECK(view->tip_seq() == 6);
    CHECK(view->unpublished() == 0);
    TreeReader reader(view->repo());
    const LogOptions o;
    LogWalk walk(*view, reader, o, view->tip(), view->conflicts());
    std::string text;
    while (const auto e = walk.next())
        text = short_text(*e, true) + text;
    CHECK(text == "Nov 14 22:13:21.000000  #1        d0   -     START                                        "
                  "          ok\n"
                  "Nov 14 22:13:24.000000  #2        d0   -     WRITE     /local/domain/5 = \"\"             "
                  "            ok\n"
                  "Nov 14 22:13:25.000000  #3        d0   -     SET-PERMS /local/domain/5 = n5               "
                  "          ok\n"
                  "Nov 14 22:13:29.000000  #4        d0   tx1   COMMIT    2 operations                       "
                  "          ok\n"
                  "                        #4.1      d0   tx1     WRITE   /vm/x/name = \"guest\\n\"\n"
                  "                        #4.2      d0   tx1     MKDIR   /vm/x/device\n"
                  "Nov 14 22:13:33.000000  #5        d5   -     WRITE     /local/domain/5/state = \"1\"      "
                  "            ok\n"
                  "Nov 14 22:13:34.000000  -         d0   tx2   COMMIT    read /local/domain/5/state = "
                  "ENOENT, would now be 1 "
                  "EAGAIN (d5 #5)\n"
                  "Nov 14 22:13:35.000000  #6        d0   -     RM        /vm                                "
                  "          ok\n");
}

TEST_CASE("verbose and JSON")
{
    TestStore s;
    fill(s);
    s.publish();
    const auto view = RepositoryView::open(s.path);
    TreeReader reader(view->repo());
    const LogOptions o;
    LogWalk walk(*view, reader, o, Oid{}, Oid{});
    const auto e = walk.entry(resolve(*view, "#4", true));
    REQUIRE(e);
    const std::string id = e->record.id.hex(), id1 = e->steps.at(0).id.hex(), id2 = e->steps.at(1).id.hex();
    CHECK(verbose_text(reader, *e, true) ==
          "Tue 2023-11-14 22:13:29.000000 UTC #4\n"
          "    DOMID=0\n    CONN=1\n    PEER=pid 77 test\n    TX=1\n    OP=commit\n"
          "    RESULT=ok\n    COMMIT=" +
              id +
              "\n"
              "    STEP=#4.1 write /vm/x/name = guest\\n\n"
              "    STEP=#4.2 mkdir /vm/x/device\n");
    CHECK(json_line(log_json(reader, *e)) ==
          R"({"seq":4,"time":"2023-11-14T22:13:29.000000Z","time_us":1700000009000000,"domid":0,"conn":1,)"
          R"("peer":"pid 77 test","tx":1,"op":"commit","result":"ok","commit":")" +
              id + R"(","steps":[{"step":1,"op":"write","path":"/vm/x/name","value":"guest\n","commit":")" +
              id1 + R"("},{"step":2,"op":"mkdir","path":"/vm/x/device","commit":")" + id2 + "\"}]}\n");
    const auto c = walk.entry(view->conflicts());
    REQUIRE(c);
    const Json json = log_json(reader, *c);
    CHECK(json["conflict"] == 1);
    CHECK(json["result"] == "EAGAIN");
    CHECK(json["culprit"]["seq"] == 5);
    CHECK(json["culprit"]["domid"] == 5);
}

TEST_CASE("filters")
{
    TestStore s;
    fill(s);
    s.publish();
    const auto view = RepositoryView::open(s.path);
    const std::string all = "#6 rm /vm\n!1 commit /local/domain/5/state\n#5 write /local/domain/5/state\n"
                            "#4 commit .1 write /vm/x/name .2 mkdir /vm/x/device\n"
                            "#3 set-perms /local/domain/5\n#2 write /local/domain/5\n#1 start\n";
    CHECK(brief(*view, LogFilter{}) == all);
    CHECK(brief(*view, paths({"/"})) ==
          "#6 rm /vm\n!1 commit /local/domain/5/state\n#5 write /local/domain/5/state\n"
          "#4 commit .1 write /vm/x/name .2 mkdir /vm/x/device\n"
          "#3 set-perms /local/domain/5\n#2 write /local/domain/5\n#1 start\n");
    CHECK(brief(*view, paths({"/vm/x/name"})) == "#6 rm /vm\n#4 commit .1 write /vm/x/name\n");
    CHECK(brief(*view, paths({"/local/domain/5"})) ==
          "!1 commit /local/domain/5/state\n#5 write /local/domain/5/state\n#3 set-perms /local/domain/5\n"
          "#2 write /local/domain/5\n");
    CHECK(brief(*view, paths({"/vm/x/device", "/nothing"})) ==
          "#6 rm /vm\n#4 commit .2 mkdir /vm/x/device\n");
    LogFilter f;
    f.domids = {5};
    CHECK(brief(*view, f) == "#5 write /local/domain/5/state\n");
    f = {};
    f.ops = {"mkdir", "rm"};
    CHECK(brief(*view, f) == "#6 rm /vm\n#4 commit .2 mkdir /vm/x/device\n");
    f = {};
    f.tx = 1;
    CHECK(brief(*view, f) == "#4 commit .1 write /vm/x/name .2 mkdir /vm/x/device\n");
    f = {};
    f.conn = 2;
    CHECK(brief(*view, f) == "#5 write /local/domain/5/state\n");
    f = {};
    f.grep.emplace("GUEST");
    CHECK(brief(*view, f).empty());
    f.grep.emplace("gue.t");
    CHECK(brief(*view, f) == "#4 commit .1 write /vm/x/name\n");
    f = {};
    f.errors = true;
    CHECK(brief(*view, f) == "!1 commit /local/domain/5/state\n");
    f = {};
    f.since_us = test::kFirstUs + 13'000'000;
    f.until_us = test::kFirstUs + 14'000'000;
    CHECK(brief(*view, f) == "!1 commit /local/domain/5/state\n#5 write /local/domain/5/state\n");
    LogOptions o;
    o.steps = false;
    o.conflicts = false;
    o.after_seq = 3;
    CHECK(brief(*view, o) == "#6 rm /vm\n#5 write /local/domain/5/state\n#4 commit\n");
    CHECK_THROWS_AS(Grep("("), ToolFailure);
}

TEST_CASE("revisions")
{
    TestStore s;
    fill(s);
    s.publish();
    const auto view = RepositoryView::open(s.path);
    const auto seq = [&](const char *spec) {
        return parse_trailers(view->repo().commit(resolve(*view, spec, true))->message).seq;
    };
    CHECK(seq("") == 6);
    CHECK(seq("HEAD") == 6);
    CHECK(seq("main~2") == 4);
    CHECK(seq("#3") == 3);
    CHECK(seq("#4.2") == 4);
    CHECK(seq("2023-11-14 22:13:28") == 3);
    CHECK(seq("2023-11-14 22:13:29") == 4);
    CHECK(seq("now") == 6);
    CHECK(seq(view->tip().hex().substr(0, 10).c_str()) == 6);
    for (const char *none :
         {"#7", "#0", "#x", "#4.3", "#4.0", "nobranch", "main~6", "2001-01-01", "HEAD^2", "\x1b[31m"})
        CHECK_MESSAGE(code_of(*view, none) == kNoRevision, none);
}

TEST_CASE("every moment of a history")
{
    TestStore s;
    const auto d0 = s.connect();
    for (int length = 1; length < 20; ++length) {
        s.write(d0, "/n", std::to_string(length));
        s.publish();
        const auto view = RepositoryView::open(s.path);
        const auto seq = [&](std::int64_t us) {
            const std::string at = "@" + std::to_string(us / 1'000'000) + (us % 1'000'000 ? ".999999" : "");
            return parse_trailers(view->repo().commit(resolve(*view, at, true))->message).seq;
        };
        for (HistoryWalk walk(view->repo(), view->tip()); const auto c = walk.next();) {
            CHECK(seq(c->trailers.time_us) == c->trailers.seq);
            if (c->trailers.seq > 1)
                CHECK(seq(c->trailers.time_us - 1) == c->trailers.seq - 1);
            else
                CHECK_THROWS_AS(seq(c->trailers.time_us - 1), ToolFailure);
        }
    }
}

TEST_CASE("revisions that were pruned")
{
    TestStore s;
    fill(s);
    s.publish();
    std::string boundary;
    {
        const auto view = RepositoryView::open(s.path);
        boundary = resolve(*view, "#4", true).hex();
    }
    std::ofstream(s.path + "/shallow") << boundary << "\n";
    const auto view = RepositoryView::open(s.path);
    CHECK(code_of(*view, "#4") == kOk);
    for (const char *gone : {"#3", "#1", "2023-11-14 22:13:24"})
        CHECK_MESSAGE(code_of(*view, gone) == kPruned, gone);
    CHECK_THROWS_WITH(resolve(*view, "#3", true), "#3 was pruned: the oldest commit kept is #4");
    CHECK(brief(*view, LogFilter{}).find("#4 commit") != std::string::npos);
    CHECK(brief(*view, LogFilter{}).find("#3") == std::string::npos);
    LogOptions o;
    o.after_seq = 2;
    TreeReader reader(view->repo());
    LogWalk walk(*view, reader, o, view->tip(), view->conflicts());
    while (walk.next()) {
    }
    CHECK(walk.lost_some());

    // As a daemon leaves it that has dropped an epoch: the objects are gone, too.
    const std::string clone = s.dir + "/clone.git";
    REQUIRE(std::system(("git clone -q --bare --depth 2 file://" + s.path + " " + clone).c_str()) == 0);
    const auto cut = RepositoryView::open(clone);
    CHECK(code_of(*cut, "HEAD~1") == kOk);
    for (const char *gone : {"HEAD~2", "main~5", "HEAD~3^2", "#3"})
        CHECK_MESSAGE(code_of(*cut, gone) == kPruned, gone);
    CHECK(code_of(*cut, "none~2") == kNoRevision);
}

TEST_CASE("REV:PATH")
{
    const auto check = [](const char *text, const char *revision, const char *path) {
        const RevisionAndPath r = split_revision(text, true);
        CHECK(r.revision == revision);
        CHECK((r.path ? r.path->str() : "none") == path);
    };
    check("#5:/local/domain/0", "#5", "/local/domain/0");
    check("10:23:/vm", "10:23", "/vm");
    check("2026-11-21 10:23:00:/vm/", "2026-11-21 10:23:00", "/vm");
    check("10:23", "10:23", "none");
    check("HEAD:@releaseDomain", "HEAD", "@releaseDomain");
    check("HEAD:local/domain", "HEAD", "/local/domain");
    check(":/a", "", "/a");
    check("HEAD:", "HEAD", "/");
    check("HEAD", "HEAD", "none");
    CHECK_THROWS_AS(split_revision("HEAD:/a b", true), ToolFailure);
    CHECK_THROWS_AS(parse_path("relative"), ToolFailure);
}
