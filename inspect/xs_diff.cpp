// SPDX-License-Identifier: MIT
// xs-diff: the nodes that differ between two states of the store.
#include "inspect/failure.hpp"
#include "inspect/json.hpp"
#include "inspect/revision.hpp"
#include "inspect/text.hpp"
#include "inspect/tool.hpp"

#include <fmt/core.h>

using namespace xsgit;
using namespace xsgit::inspect;

namespace {

struct Options {
    std::vector<std::string> arguments;
    std::string output = "text";
    bool stat = false, name_status = false, exit_code = false, quiet = false;
};

/// "A", "A B", "A..B", then paths; without a revision on the right: the end of history.
struct Question {
    std::string before, after;
    std::vector<Path> paths;
};

bool is_path(const std::string &text) { return text.starts_with('/'); }

Question question_of(const std::vector<std::string> &arguments)
{
    Question q;
    std::vector<std::string> revisions;
    for (const std::string &a : arguments) {
        if (is_path(a)) {
            q.paths.push_back(parse_path(a));
        } else if (!q.paths.empty()) {
            throw ToolFailure(kUsage, "revisions come before paths: " + a);
        } else if (const std::size_t dots = a.find(".."); dots != a.npos) {
            revisions.push_back(a.substr(0, dots));
            revisions.push_back(a.substr(dots + (a.compare(dots, 3, "...") == 0 ? 3 : 2)));
        } else {
            revisions.push_back(a);
        }
    }
    if (revisions.empty() || revisions.size() > 2)
        throw ToolFailure(
            kUsage, fmt::format("one or two revisions are needed, not {}{}", revisions.size(),
                                revisions.empty() ? " (a shell wants numbers in quotes: '#18000')" : ""));
    q.before = revisions[0];
    if (revisions.size() == 2)
        q.after = revisions[1];
    return q;
}

Oid tree_of(const RepositoryView &view, const std::string &spec, bool utc)
{
    const Oid commit = resolve(view, spec, utc);
    return view.repo().commit(commit).value().tree;
}

int diff(Tool &tool, const Options &o)
{
    const Question q = question_of(o.arguments);
    const auto view = tool.open();
    TreeReader reader(view->repo());
    bool differs = false;
    ChangeStat stat;
    diff_trees(reader, tree_of(*view, q.before, tool.utc()), tree_of(*view, q.after, tool.utc()), q.paths,
               [&](const NodeChange &c) {
                   differs = true;
                   if (o.quiet)
                       return false;
                   if (o.stat)
                       stat.add(c);
                   else if (o.name_status)
                       print(fmt::format("{}\t{}\n", change_letter(c), printable(c.path)));
                   else
                       print(o.output == "json" ? json_line(change_json(c)) : change_text(c));
                   return true;
               });
    if (o.stat && differs && !o.quiet)
        print(stat.text());
    return differs && (o.exit_code || o.quiet) ? kDiffers : kOk;
}

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-diff", "Show the nodes that differ between two states of the store.");
    Options o;
    tool.app()
        .add_option("REV", o.arguments,
                    "A B, A..B, or A against the end of history; then nodes to look at or below")
        ->type_name("[PATH]...");
    tool.app().add_option("-o,--output", o.output, "text or json")->check(CLI::IsMember({"text", "json"}));
    auto *stat = tool.app().add_flag("--stat", o.stat, "counts for each part of the store");
    tool.app()
        .add_flag("--name-status", o.name_status, "A, D, M (value) or P (permissions) and the path")
        ->excludes(stat);
    tool.app().add_flag("--exit-code", o.exit_code, "exit with 1 if something differs");
    tool.app().add_flag("-q,--quiet", o.quiet, "print nothing; implies --exit-code");
    return tool.run(argc, argv, [&] { return diff(tool, o); });
}
