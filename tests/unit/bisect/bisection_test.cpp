// SPDX-License-Identifier: MIT
// Searches in small histories, and logs of them.
#include "bisect/search/answer.hpp"
#include "bisect/search/condition_parser.hpp"
#include "bisect/search/judges.hpp"
#include "inspect/failure.hpp"
#include "inspect/revision.hpp"
#include "tests/unit/inspect/store.hpp"

#include <doctest/doctest.h>
#include <fstream>

using namespace xsgit;
using namespace xsgit::bisect;
using inspect::test::TestStore;

namespace {

/// #1 start, #2 to #`n` write to /n.
void count_to(TestStore &s, std::uint64_t conn, int n)
{
    for (int i = static_cast<int>(s.state.seq()) + 1; i <= n; ++i)
        s.write(conn, "/n", std::to_string(i));
}

struct Finder {
    explicit Finder(const TestStore &s) : view(inspect::RepositoryView::open(s.path)) {}

    Oid at(const std::string &rev) const { return inspect::resolve(*view, rev, true); }
    Bisection::Found find(const std::string &condition, const std::string &bad,
                          const std::optional<std::string> &good, std::vector<LoggedVerdict> known = {})
    {
        ConditionJudge judge(*view, parse_condition(condition), at(bad));
        Bisection::Hooks hooks{[&](const Oid &c) { return judge(c); },
                               [&](const LoggedVerdict &v, std::size_t) { log.push_back(v); }};
        return Bisection(*view, std::move(known), hooks)
            .run(at(bad), good ? std::optional(at(*good)) : std::nullopt);
    }
    std::string names(const std::vector<Oid> &commits) const
    {
        std::string out;
        for (const Oid &c : commits) {
            const std::string name = commit_name(view->repo(), c);
            out += (out.empty() ? "" : " ") + name.substr(0, name.find(' '));
        }
        return out;
    }
    std::string complaint(const std::string &condition, const std::string &bad,
                          const std::optional<std::string> &good, std::vector<LoggedVerdict> known = {})
    {
        try {
            find(condition, bad, good, std::move(known));
        } catch (const inspect::ToolFailure &e) {
            CHECK(e.code == inspect::kDiffers);
            return e.what();
        }
        return "none";
    }

    std::unique_ptr<inspect::RepositoryView> view;
    std::vector<LoggedVerdict> log;
};

bool has(const std::string &text, std::string_view part)
{
    INFO(text);
    CHECK(text.find(part) != text.npos);
    return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("the first bad commit, from both sides, with and without a good one")
{
    TestStore s;
    const auto d0 = s.connect();
    count_to(s, d0, 20);
    s.write(d0, "/state", "6"); // #21
    count_to(s, d0, 50);
    s.rm(d0, "/state"); // #51
    count_to(s, d0, 60);
    s.publish();
    s.checkpoint();
    Finder f(s);
    CHECK(f.names(f.find("/state = 6", "#50", "#1").suspects) == "#21");
    CHECK(f.names({f.find("/state = 6", "#50", "#20").good}) == "#20");
    CHECK(f.names(f.find("not /state", "#50", "#1").suspects) == "#21");
    CHECK(f.names(f.find("/state", "main", "#50").suspects) == "#51");
    CHECK(f.names(f.find("/state", "#50", std::nullopt).suspects) == "#21");
    const auto found = f.find("/n = 33", "#33", "#32");
    CHECK(f.names(found.suspects) == "#33");
    CHECK(found.judged == 2);
    CHECK(!found.transaction);

    has(f.complaint("/state", "#60", "#1"), "--good #1 start is bad: the two ends must differ");
    has(f.complaint("/state", "#20", "#50"), "but after it");
    has(f.complaint("/state", "#20", "#20"), "the same commit");
    has(f.complaint("/tool", "#20", std::nullopt), "no good commit is found: #1 start, the first one, is "
                                                   "bad, too; if it was good in between, name such a "
                                                   "commit with --good");
    std::ofstream(s.path + "/shallow") << f.at("#30").hex() << "\n";
    has(f.complaint("/state", "#50", std::nullopt), "the oldest that is kept");
}

TEST_CASE("down into the transaction")
{
    TestStore s;
    const auto d0 = s.connect(), d1 = s.connect();
    count_to(s, d0, 5);
    std::uint32_t tx = s.begin(d0);
    s.write(d0, "/x", "1", tx);
    s.write(d0, "/culprit", "bad", tx);
    s.write(d0, "/y", "1", tx);
    s.write(d1, "/meanwhile", "1");    // #6
    REQUIRE(s.commit(d0, tx) == "OK"); // #7
    count_to(s, d0, 12);
    tx = s.begin(d0);
    s.write(d0, "/half", "1", tx);
    s.write(d1, "/other-half", "1");   // #13
    REQUIRE(s.commit(d0, tx) == "OK"); // #14
    count_to(s, d0, 20);
    s.publish();
    Finder f(s);
    const auto found = f.find("/culprit = bad", "#20", "#1");
    CHECK(f.names(found.suspects) == "#7.2");
    CHECK(f.names({found.good}) == "#7.1");
    REQUIRE(found.transaction);
    CHECK(f.names({*found.transaction}) == "#7");
    CHECK(f.names(f.find("/x", "#20", "#6").suspects) == "#7.1");
    CHECK(f.names(f.find("/x", "#7.2", "#1").suspects) == "#7.1");

    const auto both = f.find("/half and /other-half", "#20", "#1");
    CHECK(f.names(both.suspects) == "#14");
    CHECK(both.only_merged);
    const std::string text = answer_text(*f.view, both, {"/half and /other-half", true}, true);
    has(text, "#14 commit 1 operation\nis the first bad commit:");
    has(text, "STEP=#14.1 write /half = 1");
    has(text, "whose steps alone do not show it");
    has(text, "Good until #13 write /other-half = 1\n");
}

TEST_CASE("what is skipped, and what a log knows")
{
    TestStore s;
    const auto d0 = s.connect();
    count_to(s, d0, 20);
    s.write(d0, "/state", "6"); // #21
    count_to(s, d0, 40);
    s.publish();
    Finder f(s);
    const auto found =
        f.find("/state", "#40", "#1", {{f.at("#21"), Verdict::Skip}, {f.at("#20"), Verdict::Skip}});
    CHECK(f.names(found.suspects) == "#22 #21 #20");
    CHECK(f.names({found.good}) == "#19");
    has(answer_text(*f.view, found, {}, true), "is one of these 3.");

    f.log.clear();
    const std::size_t judged = f.find("/state", "#40", "#1").judged;
    CHECK(judged == f.log.size());
    const auto log = f.log;
    const auto again = f.find("/state", "#40", "#1", log);
    CHECK(f.names(again.suspects) == "#21");
    CHECK(again.judged == 0);

    const auto alone = [&](std::vector<LoggedVerdict> known) {
        return Bisection(*f.view, std::move(known), {}).run(f.at("#40"), f.at("#1"));
    };
    CHECK(f.names(alone(log).suspects) == "#21");
    CHECK_THROWS_WITH_AS(alone({{f.at("#40"), Verdict::Bad}, {f.at("#1"), Verdict::Good}}),
                         doctest::Contains("38 commits are left to be judged, in about 6 steps"),
                         inspect::ToolFailure);
    has(f.complaint("/state", "#40", "#1", {{f.at("#10"), Verdict::Bad}, {f.at("#30"), Verdict::Good}}),
        "contradicts what is said of others");
}

TEST_CASE("the text of a log")
{
    const std::string a(40, 'a'), b(40, 'b');
    const auto log = parse_verdict_log("# xs-bisect log 1\n# remark\n\n  bad " + a + "\r\ngood " + b +
                                       " # #1 start\nskip " + a);
    REQUIRE(log.size() == 3);
    CHECK(log[0].verdict == Verdict::Bad);
    CHECK(log[0].commit.hex() == a);
    CHECK(log[1].verdict == Verdict::Good);
    CHECK(log[2].verdict == Verdict::Skip);
    const auto refused = [](const std::string &text, const char *why) {
        CHECK_THROWS_WITH_AS(parse_verdict_log(text), doctest::Contains(why), inspect::ToolFailure);
    };
    refused("", "empty");
    refused("bad " + a + "\n", "not a log of this version");
    refused("# xs-bisect log 2\n", "not a log of this version");
    refused("# xs-bisect log 1\nbad " + a + "\nworse " + a, "line 3");
    refused("# xs-bisect log 1\nbad aa\n", "line 2");
    refused("# xs-bisect log 1\nbad " + a + " x\n", "line 2");

    TestStore s;
    const std::string file = s.dir + "/log";
    {
        VerdictLog out(file, "condition: /a");
        out.add(log[0], "#3 write /a = 1");
        out.add(log[1], "#1 start");
    }
    CHECK(read_verdict_log(file).size() == 2);
    CHECK_THROWS_AS(read_verdict_log(s.dir + "/none"), inspect::ToolFailure);
    CHECK_THROWS_AS(VerdictLog("/nowhere/log", ""), inspect::ToolFailure);
}
