// SPDX-License-Identifier: MIT
#include "server/daemon/options.hpp"

#include "server/daemon/default_paths.hpp"
#include "server/daemon/options_getopt.hpp"
#include "server/daemon/trace.hpp"
#include "server/engine/quota.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fmt/core.h>
#include <stdexcept>

namespace xsgit::server {

namespace {

constexpr std::string_view kResume = "--keeper-resume=";

constexpr std::array<std::string_view, 1> kSoftQuotas = {"memory"};
constexpr std::array<std::string_view, 2> kTimeouts = {"watch-event", "ring-scan"};
/// xs_wire.h: XENSTORE_REL_PATH_MAX, which no quota can raise.
constexpr std::uint64_t kPathMax = 2048;

/// The names for -Q: those of the engine, but not the soft one; and 4.17's name of one of them.
std::vector<std::string_view> quota_names()
{
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < kQuotas; ++i)
        if (quota_at(i) != Quota::SoftMemory)
            names.push_back(quota_name(quota_at(i)));
    names.push_back("permissions");
    return names;
}

std::string quota_list()
{
    std::string text;
    for (const std::string_view name : quota_names())
        if (name != "permissions")
            text.append(text.empty() ? "" : ", ").append(name);
    return text;
}

[[noreturn]] void wrong(const std::string &what)
{
    throw std::runtime_error(what + "; --help lists the options");
}

/// As strtoul() reads it, whose users the scripts know, but not negative ones.
std::uint64_t number(const std::string &option, std::string_view all)
{
    std::string_view text = all.substr(std::min(all.find_first_not_of(" \t\n\v\f\r"), all.size()));
    if (text.starts_with('+'))
        text.remove_prefix(1);
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        wrong(fmt::format("{}: \"{}\" is not a number", option, all));
    return n;
}

/// A number of bytes, or of KiB, MiB, GiB.
std::uint64_t size(const std::string &option, std::string_view text)
{
    static constexpr std::string_view kUnits = "KMG";
    const std::size_t unit = text.empty() ? kUnits.npos : kUnits.find(text.back());
    if (unit == kUnits.npos)
        return number(option, text);
    const std::uint64_t n = number(option, text.substr(0, text.size() - 1));
    const unsigned shift = 10 * (static_cast<unsigned>(unit) + 1);
    if (n > UINT64_MAX >> shift)
        wrong(fmt::format("{}: {} is too large", option, text));
    return n << shift;
}

/// "name=number", one of `names`.
template <class Names>
std::pair<std::string, std::uint64_t> assignment(const std::string &option, const std::string &text,
                                                 const Names &names)
{
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
        wrong(fmt::format("{}: \"{}\" is not of the form name=number", option, text));
    const std::string name = text.substr(0, equals);
    if (std::find(names.begin(), names.end(), name) == names.end())
        wrong(fmt::format("{}: there is no quota or time-out \"{}\"", option, name));
    return {name, number(option, std::string_view(text).substr(equals + 1))};
}

/// What CLI11 fills; interpreted afterwards.
struct Raw {
    bool help = false, version = false;
    std::map<std::string, std::string> short_quotas; // declared for --help only: they arrive as -Q
    std::vector<std::string> quotas, soft_quotas, timeouts;
    std::string resume, repo_size;
    std::optional<std::string> event, master, priv;
    std::string internal_db;
    bool ignored = false;
};

void declare(CLI::App &app, Options &o, Raw &raw)
{
    app.set_help_flag();
    app.allow_extras();
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    const auto flag = [&](const char *name, bool &to, const char *text) { app.add_flag(name, to, text); };

    flag("--standalone", o.standalone,
         "never open a Xen device: serve local sockets only; every domid that a domain could have counts as "
         "existing");
    // An unset variable of a script must not mean the default store.
    const auto not_empty = [](const std::string &path) {
        return std::string(path.empty() ? "is empty" : "");
    };
    app.add_option("--repo", o.repo, "the store: a bare git repository, made if absent")
        ->type_name("DIR")
        ->check(not_empty);
    app.add_option("--socket", o.socket, "where clients connect")->type_name("PATH")->check(not_empty);
    app.add_option("--repo-size", raw.repo_size, "bytes that the repository may take")->type_name("BYTES");
    flag("--stop", o.stop, "end the running daemon of this repository in order, keeping its state");
    flag("--version", raw.version, "print the version");

    flag("-H,--help", raw.help, "print this text");
    flag("-N,--no-fork", o.foreground, "stay in the foreground, messages to standard error");
    app.add_option("-F,--pid-file", o.pid_file, "write the server's process id here")->type_name("FILE");
    app.add_option("-T,--trace-file", o.trace_file, "write all requests and answers here")->type_name("FILE");
    app.add_option("--trace-control", o.trace_control, "what is traced: obj, io, wrl")
        ->type_name("+CLASS|-CLASS")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(1)
        ->allow_extra_args(false);
    struct Short {
        const char *option, *name;
    };
    for (const Short q : {Short{"-E,--entry-nb", "nodes"}, Short{"-S,--entry-size", "node-size"},
                          Short{"-W,--watch-nb", "watches"}, Short{"-t,--transaction", "transactions"},
                          Short{"-A,--perm-nb", "node-permissions"}, Short{"-M,--path-max", "path-max"}})
        app.add_option(q.option, raw.short_quotas[q.name], fmt::format("same as -Q {}=N", q.name))
            ->type_name("N");
    app.add_option("-Q,--quota", raw.quotas, "a limit of each domain: " + quota_list() + ". 0: none")
        ->type_name("NAME=N")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(1)
        ->allow_extra_args(false);
    app.add_option("-q,--quota-soft", raw.soft_quotas, "a limit that is only warned of: memory")
        ->type_name("NAME=N")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(1)
        ->allow_extra_args(false);
    app.add_option(
           "-w,--timeout", raw.timeouts,
           "watch-event: a guest's events are dropped that it has not taken for so long (20). ring-scan: "
           "so often guests are looked at that do not ring (2). 0: never")
        ->type_name("NAME=SECONDS")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->expected(1)
        ->allow_extra_args(false);
    app.add_option("--event", raw.event, "accepted, without effect yet")->type_name("PORT");
    app.add_option("--master-domid", raw.master, "accepted, without effect yet")->type_name("DOMID");
    app.add_option("--priv-domid", raw.priv, "accepted, without effect yet")->type_name("DOMID");
    flag("-U,--live-update", o.live_update, "accepted, without effect yet");

    flag("-K,--keep-orphans", o.keep_orphans, "nodes of dead domains stay, as the control domain's");

    // Of older releases, or without meaning here.
    const std::string none;
    flag("-D,--no-domain-init", raw.ignored, "ignored");
    flag("-P,--output-pid", raw.ignored, "ignored");
    flag("-R,--no-recovery", raw.ignored, "ignored");
    flag("-V,--verbose", raw.ignored, "ignored");
    app.add_option("-I,--internal-db", raw.internal_db, "ignored")->expected(0, 1)->type_name("[on|off]");
    app.add_option("--keeper-resume", raw.resume)->group("");
}

/// As assignment(); nullopt and a note if the value is empty, as an unset variable of a script leaves it.
template <class Names>
std::optional<std::pair<std::string, std::uint64_t>>
filled_assignment(const std::string &option, const std::string &text, const Names &names,
                  std::vector<std::string> &notes)
{
    if (!text.ends_with('='))
        return assignment(option, text, names);
    notes.push_back(fmt::format("option {} {} needs a value; it is ignored", option, text));
    return std::nullopt;
}

void interpret(const Raw &raw, Options &o, std::vector<std::string> &notes)
{
    for (const std::string &text : raw.quotas)
        if (const auto q = filled_assignment("-Q", text, quota_names(), notes))
            o.quotas.insert_or_assign(q->first == "permissions" ? "node-permissions" : q->first, q->second);
    for (const std::string &text : raw.soft_quotas)
        if (const auto q = filled_assignment("-q", text, kSoftQuotas, notes))
            o.soft_quotas.insert_or_assign(q->first, q->second);
    for (const std::string &text : raw.timeouts)
        if (const auto t = filled_assignment("-w", text, kTimeouts, notes))
            (t->first == "ring-scan" ? o.ring_scan : o.watch_event_timeout) = t->second;
    for (const auto &all : {o.quotas, o.soft_quotas})
        for (const auto &[name, n] : all)
            if (n >= 0xffffffff)
                wrong(fmt::format("quota {}: {} is too large", name, n));
    if (const auto path = o.quotas.find("path-max"); path != o.quotas.end() && path->second > kPathMax) {
        notes.push_back(
            fmt::format("path-max {} is taken as {}, which is the protocol's limit", path->second, kPathMax));
        path->second = kPathMax;
    }
    for (const std::string &change : o.trace_control)
        if (Trace unused; !unused.set(change))
            wrong(fmt::format("--trace-control: there is no class \"{}\"; say +io or -obj", change));
    const auto domid = [](const char *option, const std::optional<std::string> &text) {
        return text ? std::optional(static_cast<std::uint32_t>(number(option, *text))) : std::nullopt;
    };
    o.event = domid("--event", raw.event);
    o.master_domid = domid("--master-domid", raw.master);
    o.priv_domid = domid("--priv-domid", raw.priv);
    if (!raw.repo_size.empty())
        o.repo_size = size("--repo-size", raw.repo_size);
    if (o.repo_size != 0 && o.repo_size < kRepoSizeLeast) {
        notes.push_back(
            fmt::format("--repo-size {} is taken as {}, the least", raw.repo_size, kRepoSizeLeast));
        o.repo_size = kRepoSizeLeast;
    }
    if (!raw.resume.empty()) {
        Inheritance i;
        if (std::sscanf(raw.resume.c_str(), "%d,%d,%d,%d", &i.lock, &i.listen, &i.control, &i.events) != 4)
            wrong("--keeper-resume is for the daemon's own use");
        o.resume = i;
    }
    o.repo = absolute_path(o.repo.empty() ? default_repository() : o.repo);
    o.socket = absolute_path(o.socket.empty() ? default_socket() : o.socket);
    if (!o.pid_file.empty())
        o.pid_file = absolute_path(o.pid_file);
    if (!o.trace_file.empty())
        o.trace_file = Trace::file_named(o.trace_file);
}

} // namespace

std::string settings_facts(const Options &o)
{
    std::string text;
    const auto add = [&](std::string_view name, std::uint64_t n) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ";", name, n);
    };
    for (const auto &[name, n] : o.quotas)
        add(name, n);
    for (const auto &[name, n] : o.soft_quotas)
        add("soft-" + name, n);
    if (o.keep_orphans)
        add("keep-orphans", 1);
    return text;
}

CommandLine parse_command_line(int argc, const char *const *argv)
{
    CommandLine line;
    Raw raw;
    CLI::App app("Xen's store, kept in a git repository", "xenstored");
    declare(app, line.options, raw);
    Words read = read_like_getopt(app, argc, argv);
    line.notes = std::move(read.notes);
    try {
        app.parse(
            std::vector<std::string>(read.words.rbegin(), read.words.rend())); // CLI11 wants them backwards
    } catch (const CLI::ParseError &e) {
        wrong(e.what());
    }
    if (raw.help) {
        line.text = app.help() + fmt::format("\nDefaults here: --repo {}\n               --socket {}\n",
                                             default_repository(), default_socket());
        return line;
    }
    if (raw.version) {
        line.text = "xsgit xenstored " XSGIT_VERSION "\n";
        return line;
    }
    for (const std::string &extra : app.remaining()) {
        if (extra.size() < 2 || extra[0] != '-')
            wrong(fmt::format("\"{}\" is not an option", extra));
        if (extra != "--")
            line.notes.push_back(fmt::format("unknown option {} is ignored", extra));
    }
    interpret(raw, line.options, line.notes);
    return line;
}

std::vector<std::string> resume_arguments(const std::vector<std::string> &args, const Options &options,
                                          const Inheritance &own)
{
    std::vector<std::string> out;
    for (const std::string &arg : args) {
        if (arg.compare(0, kResume.size(), kResume) == 0 || arg == "--")
            break; // from here on it is ours, from an earlier time
        out.push_back(arg);
    }
    out.push_back(fmt::format("{}{},{},{},{}", kResume, own.lock, own.listen, own.control, own.events));
    out.push_back("--repo=" + options.repo);
    out.push_back("--socket=" + options.socket);
    if (!options.pid_file.empty())
        out.push_back("--pid-file=" + options.pid_file);
    return out;
}

} // namespace xsgit::server
