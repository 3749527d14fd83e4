// SPDX-License-Identifier: MIT
#include "server/daemon/default_paths.hpp"
#include "server/daemon/options.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <stdexcept>
#include <unistd.h>

using namespace xsgit::server;

namespace {

CommandLine parse(std::vector<const char *> args)
{
    args.insert(args.begin(), "xenstored");
    return parse_command_line(static_cast<int>(args.size()), args.data());
}

std::string refusal(const std::vector<const char *> &args)
{
    try {
        parse(args);
    } catch (const std::runtime_error &e) {
        return e.what();
    }
    return "";
}

} // namespace

TEST_CASE("options of the C daemon, short and long, as scripts pass them")
{
    const Options o = parse({"-N",
                             "-F",
                             "/p/pid",
                             "--entry-nb=5",
                             "-W",
                             "7",
                             "--transaction=20",
                             "-Qmemory=100",
                             "-Q",
                             "outstanding=3",
                             "-q",
                             "memory=50",
                             "-w",
                             "watch-event=9",
                             "-wring-scan=30",
                             "-T",
                             "/t",
                             "--trace-control=+wrl",
                             "--priv-domid",
                             "1",
                             "--master-domid=2",
                             "--event",
                             "3",
                             "-D",
                             "-R",
                             "-V",
                             "-P",
                             "-I",
                             "off",
                             "-K"})
                          .options;
    CHECK(o.foreground);
    CHECK(o.pid_file == "/p/pid");
    CHECK(o.quotas.at("nodes") == 5);
    CHECK(o.quotas.at("watches") == 7);
    CHECK(o.quotas.at("transactions") == 20);
    CHECK(o.quotas.at("memory") == 100);
    CHECK(o.quotas.at("outstanding") == 3);
    CHECK(o.soft_quotas.at("memory") == 50);
    CHECK(o.watch_event_timeout == 9);
    CHECK(o.ring_scan == 30);
    CHECK(o.trace_file == "/t");
    CHECK(o.trace_control == std::vector<std::string>{"+wrl"});
    CHECK(o.priv_domid == 1);
    CHECK(o.master_domid == 2);
    CHECK(o.event == 3);
    CHECK(!o.standalone);
    CHECK(!o.resume);
}

TEST_CASE("unknown options are reported and ignored, everything else wrong is fatal")
{
    const CommandLine line = parse({"--frob", "--standalone", "-Z"});
    CHECK(line.options.standalone);
    CHECK(line.notes.size() == 2);
    CHECK(refusal({"stray"}).find("stray") != std::string::npos);
    CHECK(refusal({"--frob", "value"}).find("value") != std::string::npos); // as with getopt
    CHECK(refusal({"-Q", "nonsense=1"}).find("nonsense") != std::string::npos);
    CHECK(refusal({"-Q", "memory"}).find("name=number") != std::string::npos);
    CHECK(refusal({"-Q", "memory=many"}).find("many") != std::string::npos);
    CHECK(refusal({"-E", "-1"}) != "");
    CHECK(refusal({"--repo-size", "1T"}) != "");
    CHECK(refusal({"--repo-size", "G"}) != "");
    CHECK(refusal({"--repo-size", "99999999999G"}) != "");
    CHECK(parse({"--repo-size", "100M"}).options.repo_size == 100 << 20);
    CHECK(parse({"--repo-size", "1G"}).options.repo_size == 1 << 30);
    CHECK(parse({"--repo-size", "256"}).options.repo_size == kRepoSizeLeast);
    CHECK(parse({"--repo-size", "256"}).notes.size() == 1);
    CHECK(parse({"--repo-size", "0"}).options.repo_size == 0);
}

TEST_CASE("an option without its value is reported and ignored, as with getopt: a host has to boot")
{
    for (const char *option : {"-T", "-E", "-Q", "-F", "--watch-nb", "--watch", "-NT"}) {
        const CommandLine line = parse({"--standalone", option});
        CHECK(line.options.standalone);
        CHECK(line.options.trace_file.empty());
        CHECK(line.options.pid_file.empty());
        CHECK(line.options.quotas.empty());
        REQUIRE(line.notes.size() == 1);
        CHECK(line.notes[0].find("needs a value") != std::string::npos);
    }
    CHECK(parse({"-NT"}).options.foreground);
    const CommandLine line = parse({"-T", "-N", "-E", "--standalone", "-F"});
    CHECK(line.notes.size() == 3);
    CHECK(line.options.foreground);
    CHECK(line.options.standalone);
    CHECK(parse({"-T", "-Z"}).notes.size() == 2);
    // Nor does it swallow what a server adds that becomes the keeper.
    const Options keeper = parse({"-N", "-T", "--keeper-resume=3,5,4,6", "--repo=/x", "--socket=/y"}).options;
    REQUIRE(keeper.resume);
    CHECK(keeper.resume->events == 6);
    CHECK(keeper.repo == "/x");
    // Nor does an unset variable of a script end the daemon.
    for (const std::vector<const char *> &args :
         std::vector<std::vector<const char *>>{{"-W", ""},
                                                {"--watch-nb="},
                                                {"-Q", "watches="},
                                                {"-T", ""},
                                                {"-F", ""},
                                                {"-w", "watch-event="}}) {
        const CommandLine empty = parse(args);
        CHECK(empty.notes.size() == 1);
        CHECK(empty.options.quotas.empty());
        CHECK(empty.options.trace_file.empty());
        CHECK(!empty.options.watch_event_timeout);
    }
    // But it must not mean another store or another socket.
    CHECK(refusal({"--repo"}) != "");
    CHECK(refusal({"--repo", "-N"}) != "");
    CHECK(refusal({"--repo", ""}) != "");
    CHECK(refusal({"--repo="}) != "");
    CHECK(refusal({"--socket"}) != "");
}

TEST_CASE("of quotas the last one counts, whatever option it comes with")
{
    CHECK(parse({"-E", "5", "-Q", "nodes=6", "-E", "7"}).options.quotas.at("nodes") == 7);
    CHECK(parse({"-E", "5", "-E7", "--quota=nodes=6"}).options.quotas.at("nodes") == 6);
    CHECK(parse({"-A", "5", "-Q", "permissions=6"}).options.quotas.at("node-permissions") == 6);
    CHECK(parse({"-Q", "permissions=6", "-A", "5"}).options.quotas.at("node-permissions") == 5);
    CHECK(parse({"-q", "memory=6", "-q", "memory=7"}).options.soft_quotas.at("memory") == 7);
}

TEST_CASE("numbers are read as strtoul() reads them, and a path cannot be longer than the protocol has it")
{
    CHECK(parse({"--watch-nb= 5"}).options.quotas.at("watches") == 5);
    CHECK(parse({"-Q", "nodes=+5"}).options.quotas.at("nodes") == 5);
    CHECK(parse({"-E\t5"}).options.quotas.at("nodes") == 5);
    for (const char *n : {"5 ", "+", " ", "+-5", "-5", "0x5", "5k"})
        CHECK(refusal({"-E", n}) != "");
    const CommandLine line = parse({"-M", "5000"});
    CHECK(line.options.quotas.at("path-max") == 2048);
    CHECK(line.notes.size() == 1);
    CHECK(parse({"-Q", "path-max=2049"}).options.quotas.at("path-max") == 2048);
    CHECK(parse({"-M", "2048"}).notes.empty());
    CHECK(parse({"-M", "100"}).options.quotas.at("path-max") == 100);
}

TEST_CASE("a trace file without a folder lies where Xen's daemon puts it")
{
    CHECK(parse({"-T", "t"}).options.trace_file == "/var/lib/xen/xenstore/t");
    CHECK(parse({"-T/x/t"}).options.trace_file == "/x/t");
    CHECK(parse({"--trace-file=-x"}).options.trace_file == "/var/lib/xen/xenstore/-x");
}

TEST_CASE("short options may stand together; of them, too, unknown ones are ignored")
{
    const CommandLine line = parse({"-NZKE9"});
    CHECK(line.options.foreground);
    CHECK(line.options.keep_orphans);
    CHECK(line.options.quotas.at("nodes") == 9);
    CHECK(line.notes.size() == 1);
    CHECK(parse({"-Ioff", "-N"}).options.foreground);
    CHECK(parse({"-I", "on", "-N"}).options.foreground);
}

TEST_CASE("long options may be cut short while they are unambiguous, and the last one counts")
{
    CHECK(parse({"--pid=/x"}).options.pid_file == "/x");
    CHECK(parse({"--stand"}).options.standalone);
    CHECK(parse({"--re=/x"}).notes.size() == 1); // --repo or --repo-size
    CHECK(parse({"--repo=/x"}).options.repo == "/x");
    CHECK(parse({"--repo=/x", "--repo=/y"}).options.repo == "/y");
}

TEST_CASE("help and version print and do nothing")
{
    CHECK(parse({"--help"}).text->find("--standalone") != std::string::npos);
    CHECK(parse({"-H"}).text);
    CHECK(parse({"--version"}).text->find("xsgit") != std::string::npos);
    CHECK(!parse({"-N"}).text);
}

TEST_CASE("the socket is where the environment says, unless an option does")
{
    unsetenv("XENSTORED_PATH");
    setenv("XENSTORED_RUNDIR", "/run/dir", 1);
    CHECK(parse({}).options.socket == "/run/dir/socket");
    setenv("XENSTORED_PATH", "/some/path", 1);
    CHECK(parse({}).options.socket == "/some/path");
    CHECK(parse({"--socket", "/other"}).options.socket == "/other");
    unsetenv("XENSTORED_PATH");
    unsetenv("XENSTORED_RUNDIR");
    CHECK(parse({}).options.socket == "/run/xenstored/socket");
}

TEST_CASE("a server that becomes the keeper has the same options, with absolute paths, however often")
{
    std::vector<std::string> args = {"xenstored", "--standalone", "--repo", "here.git", "-N"};
    Options o = parse({"--standalone", "--repo", "here.git", "-N"}).options;
    CHECK(o.repo == absolute_path("here.git"));
    for (int i = 0; i < 3; ++i) {
        args = resume_arguments(args, o, {3 + i, 5, 4});
        std::vector<const char *> argv;
        for (const std::string &a : args)
            argv.push_back(a.c_str());
        const Options again = parse_command_line(static_cast<int>(argv.size()), argv.data()).options;
        CHECK(again.repo == o.repo);
        CHECK(again.socket == o.socket);
        CHECK(again.foreground);
        REQUIRE(again.resume);
        CHECK(again.resume->lock == 3 + i);
        CHECK(again.resume->listen == 5);
        CHECK(again.resume->control == 4);
        CHECK(args.size() == 8);
    }
}
