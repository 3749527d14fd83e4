// SPDX-License-Identifier: MIT
// xs-log: who did what to the store, and when.
#include "inspect/failure.hpp"
#include "inspect/follow.hpp"
#include "inspect/json.hpp"
#include "inspect/log_text.hpp"
#include "inspect/revision.hpp"
#include "inspect/text.hpp"
#include "inspect/time_spec.hpp"
#include "inspect/tool.hpp"
#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <fmt/core.h>

using namespace xsgit;
using namespace xsgit::inspect;

namespace {

constexpr std::uint64_t kFollowLines = 10;

struct Options {
    std::optional<std::uint64_t> lines;
    bool reverse = false, follow = false, patch = false, first_parent = false;
    std::string since, until, grep, at, output = "short";
    std::vector<std::string> paths;
    LogFilter filter;
};

std::optional<std::int64_t> time_of(const std::string &option, const std::string &text, bool utc)
{
    if (text.empty())
        return std::nullopt;
    const auto us = parse_time(text, now_us(), utc);
    if (!us)
        throw ToolFailure(kUsage,
                          fmt::format("{}: not a time: {} (-5min, 10:23, \"2026-11-21 10:23:00\", yesterday)",
                                      option, escape(text)));
    return us;
}

Path path_of(const std::string &text)
{
    if (text.starts_with('#') || text.find("..") != text.npos)
        throw ToolFailure(kUsage,
                          fmt::format("not an absolute path of the store: {}; for history up to a commit use "
                                      "--at REV, for what changed between two xs-diff",
                                      escape(text)));
    return parse_path(text);
}

class Log {
public:
    Log(Tool &tool, const Options &options) : tool_(tool), o_(options)
    {
        filter_ = o_.filter;
        filter_.since_us = time_of("--since", o_.since, tool.utc());
        filter_.until_us = time_of("--until", o_.until, tool.utc());
        if (!o_.grep.empty())
            filter_.grep.emplace(o_.grep);
        for (const std::string &p : o_.paths)
            filter_.paths.push_back(path_of(p));
        filter_.paths = outermost(std::move(filter_.paths));
        for (std::string &op : filter_.ops)
            std::transform(op.begin(), op.end(), op.begin(), [](unsigned char c) { return std::tolower(c); });
    }

    int run()
    {
        auto view = tool_.open();
        LogOptions options{filter_, !o_.first_parent, true, 0, 0};
        std::uint64_t most = o_.lines.value_or(UINT64_MAX);
        if (o_.follow && !o_.lines && o_.since.empty())
            most = kFollowLines;
        Oid tip = view->tip();
        if (!o_.at.empty()) {
            tip = resolve(*view, o_.at, tool_.utc());
            options.conflicts = false;
        }
        TreeReader reader(view->repo());
        LogWalk walk(*view, reader, options, tip, view->conflicts());
        if (o_.reverse)
            newest_first(*view, reader, walk, most);
        else
            oldest_first(*view, reader, walk, most);
        if (o_.follow) {
            options.after_seq = view->tip_seq();
            if (!view->conflicts().is_null())
                options.after_conflict = last_conflict(*view);
            follow(tool_, std::move(view), options,
                   [this](const RepositoryView &v, TreeReader &r, const LogEntry &e) { show(v, r, e); });
        }
        return kOk;
    }

private:
    void newest_first(const RepositoryView &view, TreeReader &reader, LogWalk &walk, std::uint64_t most)
    {
        while (most-- > 0) {
            const auto e = walk.next();
            if (!e)
                return;
            show(view, reader, *e);
        }
    }

    /// History is found newest first; of all that is wanted only the ids are kept.
    void oldest_first(const RepositoryView &view, TreeReader &reader, LogWalk &walk, std::uint64_t most)
    {
        std::vector<Oid> wanted;
        while (wanted.size() < most) {
            const auto e = walk.next();
            if (!e)
                break;
            wanted.push_back(e->record.id);
        }
        bool pruned = false;
        for (auto id = wanted.rbegin(); id != wanted.rend(); ++id) {
            std::optional<LogEntry> e;
            try {
                e = walk.entry(*id);
            } catch (const GitError &) {
                if (view.repo().exists(*id))
                    throw;
                pruned = true; // while we were reading
            }
            if (e)
                show(view, reader, *e);
        }
        if (pruned)
            tool_.note("the oldest commits were pruned before they could be shown");
    }

    void show(const RepositoryView &, TreeReader &reader, const LogEntry &e)
    {
        const bool patch = o_.patch && e.record.kind != LogRecord::Kind::Conflict;
        if (o_.output == "json") {
            Json json = log_json(reader, e);
            if (patch) {
                Json changes = e.before ? Json::array() : Json();
                for_changes(reader, e, [&](const NodeChange &c) { changes.push_back(change_json(c)); });
                json["changes"] = std::move(changes);
            }
            print(json_line(json));
            return;
        }
        print(o_.output == "verbose" ? verbose_text(reader, e, tool_.utc())
              : o_.output == "cat"   ? cat_text(e)
                                     : short_text(e, tool_.utc()));
        if (patch) {
            if (!e.before)
                print("    (the commit before was pruned)\n");
            for_changes(reader, e, [&](const NodeChange &c) { print(change_text(c, "    ")); });
        }
    }

    void for_changes(TreeReader &reader, const LogEntry &e,
                     const std::function<void(const NodeChange &)> &each)
    {
        if (e.before)
            diff_trees(reader, *e.before, e.record.tree, filter_.paths, [&](const NodeChange &c) {
                each(c);
                return true;
            });
    }

    static std::uint64_t last_conflict(const RepositoryView &view)
    {
        const auto c = view.repo().commit(view.conflicts());
        return c ? parse_trailers(c->message).conflict_number : 0;
    }

    Tool &tool_;
    const Options &o_;
    LogFilter filter_;
};

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-log", "Show who did what to the store, and when.");
    Options o;
    CLI::App &app = tool.app();
    app.add_option("PATH", o.paths, "only what changed these nodes or something below them")
        ->type_name("...");
    app.add_option("-n,--lines", o.lines, "the last N only")->type_name("N");
    app.add_flag("-r,--reverse", o.reverse, "newest first");
    app.add_flag("-f,--follow", o.follow, "then print new ones as they come")->excludes("--reverse");
    app.add_flag("-p,--patch", o.patch, "with the nodes that changed");
    app.add_flag("--first-parent", o.first_parent, "transactions as one line, without their steps");
    app.add_option("-S,--since", o.since, "from this time on")->type_name("TIME");
    app.add_option("-U,--until", o.until, "up to this time")->type_name("TIME");
    app.add_option("--at", o.at, "history as it was at this revision")
        ->type_name("REV")
        ->excludes("--follow");
    app.add_option("-d,--domain", o.filter.domids, "only by these domains")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("DOMID");
    app.add_option("--op", o.filter.ops, "only these operations: write, mkdir, rm, set-perms, commit, …")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("LIST");
    app.add_option("--conn", o.filter.conn, "only on this connection")->type_name("ID");
    app.add_option("--tx", o.filter.tx, "only in this transaction")->type_name("ID");
    app.add_option("-g,--grep", o.grep, "only operations that match this regular expression")
        ->type_name("REGEX");
    app.add_flag("--errors", o.filter.errors, "only transactions that were refused");
    app.add_option("-o,--output", o.output, "short, verbose, json or cat")
        ->check(CLI::IsMember({"short", "verbose", "json", "cat"}));
    return tool.run(argc, argv, [&] { return Log(tool, o).run(); });
}
