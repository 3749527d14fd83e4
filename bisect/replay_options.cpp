// SPDX-License-Identifier: MIT
// Options, and which of them go together.
#include "bisect/replay_options.hpp"

#include "inspect/failure.hpp"

#include <charconv>
#include <cstdlib>

namespace xsgit::replay {

using inspect::kUsage;
using inspect::ToolFailure;

namespace {

[[noreturn]] void usage(const std::string &text) { throw ToolFailure(kUsage, text); }

/// The option parser takes the largest number for one that is larger still.
const CLI::Validator kWholeNumber(
    [](const std::string &text) {
        std::uint64_t n = 0;
        const char *end = text.data() + text.size();
        const auto got = std::from_chars(text.data(), end, n);
        return got.ec == std::errc() && got.ptr == end ? "" : text + " is no whole number below 2^64";
    },
    "NUMBER");

void outputs_must_fit(const ReplayRequest &o)
{
    if (o.output.empty() && o.test.empty())
        return;
    if (o.show)
        usage("--show plays nothing that -o or --emit-test could write");
    if (o.output == o.test)
        usage("-o and --emit-test write two files: name another one");
    if (o.result_on_stdout() && (o.dump || o.step || o.commits || o.shell))
        usage("standard output can have the session or test, or what other options print: name a file "
              "for it, or leave out --dump, --step, --commit, --shell and CMD");
    if (!o.output.empty() && !o.fails_if.empty() && !o.stage.against.empty() && o.stage.reset.empty())
        usage("-o plays once more to get the replies of the daemon, which must be fresh: --reset CMD");
}

/// Where only a verdict is wanted, nothing else is shown.
void verdict_must_fit(const ReplayRequest &o)
{
    const std::string which = o.minimize ? "--minimize" : "--fails-if";
    if ((o.minimize || !o.fails_if.empty()) &&
        (o.dump || o.commits || o.step || o.shell || o.speed != "max" || o.show))
        usage(which +
              " plays for a verdict: leave out --dump, --commit, --step, --speed, --shell, CMD and --show");
}

} // namespace

void add_options(CLI::App &app, ReplayRequest &o)
{
    app.add_option("SESSION", o.session, "a session file, or - for standard input");
    app.add_option("--from", o.from, "play the store's history instead: what was done after this commit ...")
        ->type_name("REV");
    app.add_option("--to", o.to, "... up to this one (default: the end)")->type_name("REV")->needs("--from");
    app.add_flag("--show", o.show, "print it, a line for each record, and play nothing");
    app.add_option("--against", o.stage.against,
                   "play to the daemon on this socket (default: in this process)")
        ->type_name("SOCKET");
    app.add_flag("--check", o.check,
                 "compare each reply and event with the recorded one, name the first difference");
    app.add_option(
           "--compare", o.stage.compare,
           "play to this daemon as well (\"engine\": in this process), name the first difference of the two")
        ->type_name("SOCKET2");
    app.add_flag("--lenient", o.stage.lenient,
                 "compare without the order of children and the names of errors");
    app.add_option("--speed", o.speed, "max (default), recorded, or how many times as fast")->type_name("N");
    app.add_flag("--step", o.step, "show each step and what came, and wait for a line of input");
    app.add_option("--until", o.until, "end after so many requests, or so long after the begin: 100, 1.5s")
        ->type_name("N");
    app.add_flag("--dump", o.dump, "print the state at the end: nodes, connections, watches, transactions");
    app.add_flag(
        "--shell", o.shell,
        "a shell that sees the store at the end as xenstored's, read-only (-- CMD...: that instead)");
    app.add_flag("--commit", o.commits, "print the id of the last commit that a daemon would have made");
    app.add_option("--seed", o.seed, "another legal order of what the connections did")
        ->type_name("N")
        ->check(kWholeNumber);
    app.add_option("--path", o.node.path, "the session fails if this node, at the end, ...")
        ->type_name("PATH");
    app.add_option("--is", o.node.value, "... has this value")->type_name("VALUE")->needs("--path");
    auto *exists = app.add_flag("--exists", o.node.exists, "... is there")->needs("--path");
    app.add_flag("--missing", o.node.missing, "... is not there")
        ->needs("--path")
        ->excludes(exists)
        ->excludes("--is");
    app.add_option("--fails-if", o.fails_if,
                   "the session fails if this shell command succeeds (XS_SESSION, XS_STATE)")
        ->type_name("CMD");
    app.add_flag("--minimize", o.minimize, "find the smallest part of the session that still fails");
    app.add_option("--max-runs", o.max_runs, "plays that --minimize may take")
        ->check(CLI::Range(1, 1000000000));
    app.add_option("--reset", o.stage.reset, "shell command that makes the daemons fresh before each play")
        ->type_name("CMD");
    app.add_option("--timeout", o.timeout, "seconds that a daemon's reply may take")
        ->check(CLI::Range(0.01, 86400.0));
    app.add_option("-o,--output", o.output, "write the session as it was played, or made smaller")
        ->type_name("FILE");
    app.add_flag("--force", o.force, "replace files that are there");
    app.add_option("--emit-test", o.test, "write it as a case for tests/system/operations")
        ->type_name("FILE");
}

void must_fit(ReplayRequest &o)
{
    if (o.session.empty() == o.from.empty())
        usage("name a session, or commits with --from and --to");
    if (!o.from.empty() && o.show)
        usage("--show prints a session file; of commits, -o FILE makes one");
    if (!o.from.empty() && o.check && (o.minimize || !o.stage.against.empty()))
        usage("commits are checked in this process, and as a whole: leave out --against and --minimize");
    if (!o.from.empty() && o.check && !o.until.empty())
        usage("the store is compared with that of the commit --to: choose another one there, and leave out "
              "--until");
    const bool node = o.node.value || o.node.exists || o.node.missing;
    if (node == o.node.path.empty())
        usage("--path goes with --is, --exists or --missing");
    if (!o.stage.compare.empty() && (o.check || o.has_predicate()))
        usage("--compare is a check of its own: leave out --check, --path and --fails-if");
    if (o.check + !o.node.path.empty() + !o.fails_if.empty() > 1)
        usage("only one of --check, --path and --fails-if");
    if (o.seed && o.check)
        usage("with --seed the order is another one, and the recorded replies are not those to expect: leave "
              "out --check");
    if (o.minimize && !o.check && !o.has_predicate() && o.stage.compare.empty())
        usage("--minimize needs to know what a failure is: --check, --compare, --path or --fails-if");
    const bool sockets =
        !o.stage.against.empty() || (!o.stage.compare.empty() && o.stage.compare != "engine");
    if (o.minimize && sockets && o.stage.reset.empty())
        usage("--minimize plays many times, and each time the daemon must be fresh: --reset CMD");
    if (o.dump && (!o.stage.against.empty() || !o.stage.compare.empty()))
        usage("--dump shows the state in this process; of a daemon xenstore-ls does");
    if (o.shell && (!o.stage.against.empty() || !o.stage.compare.empty() || o.minimize || o.show || o.dump))
        usage("--shell and -- CMD show what a session leads to in this process: leave out --against, "
              "--compare, "
              "--minimize, --show and --dump");
    if (o.commits && (!o.stage.against.empty() || !o.stage.compare.empty() || !o.from.empty() || o.minimize))
        usage("--commit is what the engine makes of a session in this process");
    if (o.show && o.step)
        usage("only one of --show and --step");
    verdict_must_fit(o);
    outputs_must_fit(o);
    if (!o.test.empty() && !o.stage.against.empty())
        usage("--emit-test plays in this process: leave out --against");
    o.stage.patience = std::chrono::milliseconds(static_cast<std::int64_t>(o.timeout * 1000));
}

double speed_of(const std::string &text)
{
    if (text == "max")
        return 0;
    if (text == "recorded")
        return 1;
    char *end = nullptr;
    const double speed = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !(speed > 0) || speed > 1e6)
        usage("--speed is \"max\", \"recorded\" or how many times as fast, as 2 or 0.5");
    return speed;
}

Limit limit_of(const std::string &text)
{
    Limit limit;
    if (text.empty())
        return limit;
    const char *end = text.data() + text.size();
    std::uint64_t n = 0;
    if (const auto whole = std::from_chars(text.data(), end, n);
        whole.ec == std::errc() && whole.ptr == end) {
        limit.requests = n;
        return limit;
    }
    char *rest = nullptr;
    const double seconds = std::strtod(text.c_str(), &rest);
    if (rest == text.c_str() || std::string_view(rest) != "s" || !(seconds >= 0) || seconds > 1e9)
        usage("--until is a number of requests, as 100, or a time since the begin in seconds, as 1.5s");
    limit.at_us = static_cast<std::uint64_t>(seconds * 1e6);
    return limit;
}

} // namespace xsgit::replay
