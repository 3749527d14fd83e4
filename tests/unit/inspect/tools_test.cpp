// SPDX-License-Identifier: MIT
// The programs themselves: what they print and how they exit.
#include "tests/unit/inspect/store.hpp"

#include <cstdio>
#include <doctest/doctest.h>
#include <fstream>
#include <sys/wait.h>

using namespace xsgit;
using inspect::test::TestStore;

namespace {

struct Answer {
    int code = -1;
    std::string out, err;
};

std::string content(const std::string &file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// `command` begins with the program's name; XSGIT_TOOLS says where they are.
Answer run(const TestStore &s, const std::string &command)
{
    const char *tools = std::getenv("XSGIT_TOOLS");
    REQUIRE_MESSAGE(tools, "XSGIT_TOOLS must name the directory of the tools");
    const std::string line = "(TZ=UTC XS_REPO=" + s.path + " " + tools + "/" + command + ") >" + s.dir +
                             "/out 2>" + s.dir + "/err </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(s.dir + "/out"), content(s.dir + "/err")};
}

void fill(TestStore &s)
{
    const auto d0 = s.connect();
    s.write(d0, "/vm/a", "first");
    s.set_perms(d0, "/vm/a", {"n0", "r5"});
    s.write(d0, "/vm/a/b", std::string("raw\0\xff\n", 6));
    s.rm(d0, "/vm/a/b");
    s.publish();
    s.checkpoint();
    s.write(d0, "/tail", "only in the journal"); // #6
}

} // namespace

TEST_CASE("xs-log")
{
    TestStore s;
    fill(s);
    Answer a = run(s, "xs-log -n 2");
    CHECK(a.code == 0);
    CHECK(a.err.empty());
    CHECK(a.out == "Nov 14 22:13:26.000000  #5        d0   -     RM        /vm/a/b                           "
                   "           ok\n"
                   "Nov 14 22:13:27.000000  #6        d0   -     WRITE     /tail = \"only in the journal\"   "
                   "             ok\n");
    CHECK(run(s, "xs-log -o cat -r -n 2").out == "write /tail = only in the journal\nrm /vm/a/b\n");
    CHECK(run(s, "xs-log -o cat -- /vm/a/b").out == "write /vm/a/b = raw\\x00\\xff\\n\nrm /vm/a/b\n");
    CHECK(run(s, "xs-log -o cat --op SET-PERMS,start").out == "start\nset-perms /vm/a = n0,r5\n");
    CHECK(run(s, "xs-log -o cat -d 5").out.empty());
    CHECK(run(s, "xs-log -o cat -S '2023-11-14 22:13:26' -U 22:13:26").code == 0);
    CHECK(run(s, "xs-log -o cat -S -5min").out.empty());
    CHECK(run(s, "xs-log -o cat -U -5min -n 1").out == "write /tail = only in the journal\n");
    CHECK(run(s, "xs-log -o cat --at '#2'").out == "start\nwrite /vm/a = first\n");
    CHECK(run(s, "xs-log -o cat -p -g '^rm'").out ==
          "rm /vm/a/b\n    - /vm/a/b = \"raw\\x00\\xff\\n\"   (n0,r5)\n");
    a = run(s, "xs-log -o json -p /vm/a/b -n 1 -r");
    CHECK(a.out.starts_with(
        R"({"seq":5,"time":"2023-11-14T22:13:26.000000Z","time_us":1700000006000000,"domid":0,"conn":1,)"
        R"("peer":"pid 77 test","op":"rm","path":"/vm/a/b","result":"ok","commit":")"));
    CHECK(a.out.ends_with(
        R"("changes":[{"status":"D","path":"/vm/a/b","before":{"value_hex":"72617700ff0a","perms":"n0,r5"}}]})"
        "\n"));
    CHECK(run(s, "xs-log -o json -g raw").out.find(R"("value_hex":"72617700ff0a")") != std::string::npos);
}

TEST_CASE("xs-log -f ends when nobody reads, and prints each commit once")
{
    TestStore s;
    fill(s);
    const Answer a = run(s, "xs-log -f -o cat | head -3; exit 7");
    CHECK(a.code == 7);
    CHECK(a.out == "start\nwrite /vm/a = first\nset-perms /vm/a = n0,r5\n");
}

TEST_CASE("xs-log -f shows what is published, once, until nobody reads")
{
    TestStore s;
    fill(s);
    const char *tools = std::getenv("XSGIT_TOOLS");
    REQUIRE(tools);
    FILE *f = popen((std::string(tools) + "/xs-log -f -o cat -n 1 --repo " + s.path).c_str(), "r");
    REQUIRE(f);
    const auto line = [f] {
        char text[200];
        return std::string(std::fgets(text, sizeof text, f) ? text : "(end)");
    };
    CHECK(line() == "write /tail = only in the journal\n");
    s.publish(); // what was seen in the journal is not shown again
    const auto d0 = s.connect();
    for (int i = 0; i < 3; ++i) {
        s.write(d0, "/again", std::to_string(i));
        s.write(d0, "/and", std::to_string(i));
        s.publish();
        CHECK(line() == "write /again = " + std::to_string(i) + "\n");
        CHECK(line() == "write /and = " + std::to_string(i) + "\n");
    }
    CHECK(pclose(f) == 0);
}

TEST_CASE("xs-show")
{
    TestStore s;
    fill(s);
    CHECK(run(s, "xs-show '#4:/vm/a/b'").out == std::string("raw\0\xff\n", 6));
    CHECK(run(s, "xs-show :/tail").out == "only in the journal");
    CHECK(run(s, "xs-show main:tail").out == "only in the journal");
    CHECK(run(s, "xs-show --tree '#4'").out ==
          "/tool = \"\"   (n0)\n/tool/xenstored = \"\"   (n0)\n/vm = \"\"   (n0)\n"
          "/vm/a = \"first\"   (n0,r5)\n/vm/a/b = \"raw\\000\\xff\\n\"   (n0,r5)\n");
    CHECK(run(s, "xs-show --tree '#4:/vm/a'").out == "/vm/a/b = \"raw\\000\\xff\\n\"   (n0,r5)\n");
    CHECK(run(s, "xs-show --tree '#4:/vm/a/b'").out.empty());
    CHECK(run(s, "xs-show --tree -o json '#3:/vm/a'").out ==
          R"({"path":"/vm/a","value":"first","perms":"n0,r5"})"
          "\n");
    const std::string text = run(s, "xs-show '#3'").out;
    CHECK(text.starts_with("Tue 2023-11-14 22:13:24.000000 UTC #3\n    DOMID=0\n"));
    CHECK(text.ends_with("\n\n- /vm/a = \"first\"   (n0)\n+ /vm/a = \"first\"   (n0,r5)\n"));
    CHECK(run(s, "xs-show --state").out == s.state.describe());
    Answer a = run(s, "xs-show '#4:/none'");
    CHECK(a.code == 4);
    CHECK(a.out.empty());
    CHECK(a.err == "xs-show: no such node: /none (#4:/none)\n");
    a = run(s, "xs-show '#99'");
    CHECK(a.code == 4);
    CHECK(a.err == "xs-show: no such revision: #99: the newest is #6\n");
    a = run(s, "xs-show -9min");
    CHECK(a.code == 0);
    a = run(s, "xs-show 2001-01-01");
    CHECK(a.code == 4);
    CHECK(a.err ==
          "xs-show: no such revision: 2001-01-01: history begins at Tue 2023-11-14 22:13:21.000000 UTC\n");
}

TEST_CASE("xs-diff")
{
    TestStore s;
    fill(s);
    Answer a = run(s, "xs-diff '#3' '#4'");
    CHECK(a.code == 0);
    CHECK(a.out == "+ /vm/a/b = \"raw\\x00\\xff\\n\"   (n0,r5)\n");
    CHECK(run(s, "xs-diff '#3..#4'").out == a.out);
    CHECK(run(s, "xs-diff '#5'").out == "+ /tail = \"only in the journal\"   (n0)\n");
    CHECK(run(s, "xs-diff '#1..' /vm").out == "+ /vm = \"\"   (n0)\n+ /vm/a = \"first\"   (n0,r5)\n");
    CHECK(run(s, "xs-diff --name-status '#2..#6'").out == "A\t/tail\nP\t/vm/a\n");
    CHECK(run(s, "xs-diff --stat '#2..#6'").out ==
          " /   | 1 +1\n /vm | 1 ~1\n 1 node added, 0 removed, 1 changed\n");
    CHECK(
        run(s, "xs-diff -o json '#2' '#3'").out ==
        R"({"status":"P","path":"/vm/a","before":{"value":"first","perms":"n0"},"after":{"value":"first","perms":"n0,r5"}})"
        "\n");
    CHECK(run(s, "xs-diff --exit-code '#2' '#3'").code == 1);
    a = run(s, "xs-diff -q '#2' '#3'");
    CHECK(a.code == 1);
    CHECK(a.out.empty());
    CHECK(run(s, "xs-diff --exit-code '#3' '#5'").code == 0);
}

TEST_CASE("usage, and stores that are not there")
{
    TestStore s;
    fill(s);
    for (const char *bad :
         {"xs-log --nonsense", "xs-log relative/path", "xs-log -S never", "xs-log -o xml", "xs-log -g '('",
          "xs-log -d five", "xs-show --tree --state", "xs-show --state '#1'", "xs-log '#2..#3'",
          "xs-show 'HEAD:/a b'", "xs-diff", "xs-diff '#1' '#2' '#3'", "xs-diff --stat --name-status '#1'"}) {
        const Answer a = run(s, bad);
        CHECK_MESSAGE(a.code == 2, bad);
        CHECK_MESSAGE(a.out.empty(), bad);
        CHECK_MESSAGE(a.err.starts_with("xs-"), bad);
    }
    CHECK(run(s, "xs-log --nonsense").err == "xs-log: The following argument was not expected: --nonsense\n"
                                             "Try \"xs-log --help\".\n");
    for (const char *tool : {"xs-log", "xs-show", "xs-diff now"}) {
        const Answer a = run(s, std::string(tool) + " --repo /nonexistent");
        CHECK(a.code == 3);
        CHECK(a.out.empty());
        CHECK(a.err.find("--repo") != std::string::npos);
    }
    CHECK(run(s, "xs-log --help").code == 0);
    CHECK(run(s, "xs-log --version").code == 0);

    const Answer full = run(s, "xs-log >/dev/full; echo $?");
    CHECK(full.out == "3\n");
}
