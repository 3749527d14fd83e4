// SPDX-License-Identifier: MIT
// xs-record: records what is said between a xenstored and its clients.
#include "bisect/record/import/import.hpp"
#include "bisect/record/input.hpp"
#include "bisect/record/proxy.hpp"
#include "bisect/record/tap/tap.hpp"
#include "bisect/record_show.hpp"
#include "inspect/default_repository.hpp"
#include "inspect/tool.hpp"
#include "xsgit/base/escape.hpp"

#include <csignal>
#include <fmt/core.h>
#include <map>
#include <sys/signalfd.h>

using namespace xsgit;
using namespace xsgit::record;
using inspect::Tool, inspect::kDiffers, inspect::kOk;

namespace {

constexpr std::uint64_t kSmallestFile = 4096; // bytes, of rotation

struct Options {
    FileOptions file;
    std::vector<std::string> redact;
    std::string listen, to; // sockets
    std::string repo;       // empty: the usual one
    std::string input, from = "auto";
    bool json = false;
};

/// Readable as soon as the program is told to end. From here on a closed pipe or a full file is an error of write().
server::UniqueFd end_signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return server::UniqueFd(signalfd(-1, &set, SFD_CLOEXEC));
}

int run_proxy(const Tool &tool, const Options &o)
{
    const server::UniqueFd stop = end_signals();
    const Redaction redaction(o.redact);
    const Listener listener(o.listen);
    const std::uint64_t begin = monotonic_us();
    SessionFile file(o.file, {wall_us(), "proxy", ""});
    Proxy proxy(listener, o.to, file, redaction, begin, [&](const std::string &text) { tool.note(text); });
    tool.note(fmt::format("clients connect to {}, {} is written; Ctrl-C ends it", o.listen, file.path()));
    const bool good = proxy.run(stop.get());
    tool.note(fmt::format("{} records, {} bytes", file.records(), file.bytes()));
    return good ? kOk : kDiffers;
}

int run_tap(const Tool &tool, const Options &o)
{
    const server::UniqueFd stop = end_signals();
    const Redaction redaction(o.redact);
    const std::string repo = inspect::chosen_repository(o.repo);
    Tap tap(repo, o.file, redaction, [&](const std::string &text) { tool.note(text); });
    tool.note(fmt::format("{} is tapped, {} is written; Ctrl-C ends it", repo, tap.file().path()));
    const Tap::Ended ended = tap.run(stop.get());
    const Tap::Counts counts = tap.counts();
    tool.note(fmt::format(
        "{} requests, {} events dropped, {} events answered otherwise; {} records, {} bytes", counts.requests,
        counts.lost_events, counts.differing, tap.file().records(), tap.file().bytes()));
    if (ended == Tap::Ended::StoreGone)
        throw inspect::ToolFailure(
            inspect::kNoRepository,
            fmt::format("the store in {} was set aside or removed: the recording ends with it", repo));
    return ended == Tap::Ended::Stopped && counts.differing == 0 ? kOk : kDiffers;
}

const std::map<std::string, LogKind> kLogs = {{"auto", LogKind::Auto},
                                              {"strace", LogKind::Strace},
                                              {"c-trace", LogKind::CTrace},
                                              {"oxenstored", LogKind::Oxenstored}};

int run_import(const Tool &tool, const Options &o)
{
    signal(SIGPIPE, SIG_IGN);
    const Redaction redaction(o.redact);
    Input input(o.input);
    try {
        const Imported done = import_log(kLogs.at(o.from), input.source(), o.file, redaction);
        tool.note(fmt::format("{}: {} lines, {} messages", done.source, done.lines, done.messages));
        tool.note(done.about);
        for (const std::string &text : done.notes)
            tool.note(text);
    } catch (const std::runtime_error &e) {
        throw inspect::ToolFailure(inspect::kNoRepository, fmt::format("{}: {}", escape(o.input), e.what()));
    }
    return kOk;
}

void add_output(CLI::App &command, Options &o)
{
    command.add_option("-o,--output", o.file.path, "the session to write; -: standard output")
        ->required()
        ->type_name("FILE");
    command.add_flag("--force", o.file.replace, "replace a file that is there");
    command
        .add_option("--redact", o.redact,
                    "make values unreadable whose path matches: * is any text, / too; ? any character")
        ->allow_extra_args(false)
        ->type_name("GLOB");
}

void add_rotation(CLI::App &command, Options &o)
{
    command.add_option("--rotate-size", o.file.rotate_bytes, "go on in FILE.2, … after as many bytes")
        ->check(CLI::Range(kSmallestFile, UINT64_MAX))
        ->type_name("BYTES");
    command.add_option("--rotate-time", o.file.rotate_seconds, "go on in FILE.2, … after as many seconds")
        ->check(CLI::Range(1, 1'000'000'000))
        ->type_name("SECONDS");
    command.add_option("--keep", o.file.keep, "remove all but the newest N of these files")
        ->check(CLI::Range(1, 1'000'000'000))
        ->type_name("N");
}

void must_make_sense(const FileOptions &o)
{
    if (const std::string wrong = contradiction(o); !wrong.empty())
        throw inspect::ToolFailure(inspect::kUsage, wrong);
}

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-record", "Record what is said between a xenstored and its clients.");
    Options o;
    CLI::App &app = tool.app();
    for (const char *unused : {"--repo", "--utc"}) // of the tools that read a repository
        app.remove_option(app.get_option(unused));
    app.require_subcommand(1);

    CLI::App *proxy = app.add_subcommand("proxy", "stand between clients and a daemon, any daemon");
    proxy->add_option("--listen", o.listen, "socket to make, for the clients")
        ->required()
        ->type_name("SOCKET");
    proxy->add_option("--to", o.to, "the daemon's socket")->required()->type_name("SOCKET");
    add_output(*proxy, o);
    add_rotation(*proxy, o);

    CLI::App *tapped =
        app.add_subcommand("tap", "record a running daemon of this project, which does not notice");
    tapped->add_option("--repo", o.repo, "the daemon's repository (else $XS_REPO, else the daemon's default)")
        ->type_name("DIR");
    add_output(*tapped, o);
    add_rotation(*tapped, o);

    CLI::App *shown = app.add_subcommand("show", "print a session as text");
    shown->add_option("FILE", o.input, "the session; -: standard input")->required();
    shown->add_flag("--json", o.json, "one JSON object per record and line");

    CLI::App *import = app.add_subcommand("import", "make a session of a log");
    import->add_option("FILE", o.input, "the log; -: standard input")->required();
    std::vector<std::string> kinds;
    for (const auto &[name, kind] : kLogs)
        kinds.push_back(name);
    import
        ->add_option("--from", o.from,
                     "what it is: auto (the first lines say so), strace, c-trace, oxenstored")
        ->check(CLI::IsMember(kinds))
        ->type_name("KIND");
    add_output(*import, o);
    add_rotation(*import, o);

    return tool.run(argc, argv, [&] {
        must_make_sense(o.file);
        return *proxy    ? run_proxy(tool, o)
               : *tapped ? run_tap(tool, o)
               : *import ? run_import(tool, o)
                         : show(o.input, o.json);
    });
}
