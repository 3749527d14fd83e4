// SPDX-License-Identifier: MIT
// xs-show: one commit, one node, the whole store at one moment, or what a daemon knows beside it.
#include "inspect/failure.hpp"
#include "inspect/json.hpp"
#include "inspect/log_text.hpp"
#include "inspect/revision.hpp"
#include "inspect/tail.hpp"
#include "inspect/text.hpp"
#include "inspect/tool.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/git/commit_message.hpp"

#include <fmt/core.h>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::inspect;

namespace {

struct Options {
    std::string what, output = "text";
    bool tree = false, state = false;
};

Oid tree_of(const RepositoryView &view, const Oid &commit) { return view.repo().commit(commit).value().tree; }

GitNode find(TreeReader &reader, const Oid &root, const Path &path, const std::string &what)
{
    auto node = reader.find(root, path);
    if (!node)
        throw ToolFailure(kNoRevision, fmt::format("no such node: {} ({})", path.str(), printable(what)));
    return *node;
}

int show_value(TreeReader &reader, const Oid &root, const Path &path, const Options &o)
{
    const NodeState state = reader.state(find(reader, root, path, o.what));
    if (o.output == "json")
        print(json_line(node_json(path.str(), state)));
    else if (isatty(STDOUT_FILENO))
        print(escape(state.value) + "\n"); // guests choose these bytes
    else
        print(state.value);
    return kOk;
}

int show_tree(TreeReader &reader, const Oid &root, const std::optional<Path> &path, const Options &o)
{
    const Path top = path.value_or(Path());
    find(reader, root, top, o.what);
    list_tree(reader, root, top, [&](const std::string &at, const NodeState &state) {
        if (o.output == "json")
            print(json_line(node_json(at, state)));
        else if (at != top.str()) // xenstore-ls names what is below
            print(ls_line(at, state) + "\n");
    });
    return kOk;
}

void show_conflict(const RepositoryView &view, const LogEntry &entry)
{
    for (const TreeEntry &file : view.repo().tree(entry.record.tree)) {
        print(fmt::format("\n{}:\n", printable(file.name)));
        const std::string text = view.repo().blob(file.id);
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            print("    " + printable(text.substr(at, end - at)) + "\n");
            at = end + 1;
        }
    }
}

int show_commit(const RepositoryView &view, TreeReader &reader, const Oid &commit, const Options &o, bool utc)
{
    const LogOptions everything;
    LogWalk walk(view, reader, everything, Oid{}, Oid{});
    const auto entry = walk.entry(commit);
    if (!entry)
        throw ToolFailure(kNoRevision, "no such commit: " + commit.hex());
    const bool conflict = entry->record.kind == LogRecord::Kind::Conflict;
    Json json;
    if (o.output == "json") {
        json = log_json(reader, *entry);
        if (!conflict)
            json["changes"] = Json::array();
    } else {
        print(verbose_text(reader, *entry, utc));
    }
    if (conflict) {
        if (o.output != "json")
            show_conflict(view, *entry);
    } else if (!entry->before) {
        if (o.output == "json")
            json["changes"] = nullptr;
        else
            print("\nThe commit before was pruned: what changed is not known.\n");
    } else {
        bool first = true;
        diff_trees(reader, *entry->before, entry->record.tree, {}, [&](const NodeChange &c) {
            if (o.output == "json")
                json["changes"].push_back(change_json(c));
            else
                print((first ? "\n" : "") + change_text(c));
            first = false;
            return true;
        });
    }
    if (o.output == "json")
        print(json_line(json));
    return kOk;
}

int show(Tool &tool, const Options &o)
{
    if (o.state && !o.what.empty())
        throw ToolFailure(
            kUsage, "--state is what the daemon knows now; it is not kept for older commits: leave out " +
                        printable(o.what));
    const auto view = tool.open();
    if (o.state) {
        print(describe_state(view->repo()));
        return kOk;
    }
    const RevisionAndPath what = split_revision(o.what, tool.utc());
    const Oid commit = resolve(*view, what.revision, tool.utc());
    TreeReader reader(view->repo());
    if (o.tree)
        return show_tree(reader, tree_of(*view, commit), what.path, o);
    if (what.path)
        return show_value(reader, tree_of(*view, commit), *what.path, o);
    return show_commit(*view, reader, commit, o, tool.utc());
}

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-show",
              "Show one commit of the store's history, one node, or the whole store at one moment.");
    Options o;
    tool.app()
        .add_option("REV", o.what, "a commit (default: the last one); with :PATH, the value of a node in it")
        ->type_name("[:PATH]");
    auto *tree = tool.app().add_flag("--tree", o.tree, "all nodes (below PATH), as xenstore-ls -f -p");
    tool.app()
        .add_flag("--state", o.state, "what a daemon knows beside the nodes, live or killed")
        ->excludes(tree);
    tool.app().add_option("-o,--output", o.output, "text or json")->check(CLI::IsMember({"text", "json"}));
    return tool.run(argc, argv, [&] { return show(tool, o); });
}
