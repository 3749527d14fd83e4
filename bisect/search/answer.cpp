// SPDX-License-Identifier: MIT
#include "bisect/search/answer.hpp"

#include "inspect/failure.hpp"
#include "inspect/json.hpp"
#include "inspect/log_text.hpp"
#include "inspect/text.hpp"

#include <fmt/core.h>

namespace xsgit::bisect {

namespace {

using namespace xsgit::inspect;

constexpr int kChangesShown = 10;

LogEntry entry_of(const RepositoryView &view, TreeReader &reader, const Oid &commit)
{
    const LogOptions everything;
    auto entry = LogWalk(view, reader, everything, Oid{}, Oid{}).entry(commit);
    if (!entry)
        throw ToolFailure(kNoRevision, "no such commit: " + commit.hex());
    return std::move(*entry);
}

std::string changes_text(TreeReader &reader, const LogEntry &entry)
{
    if (!entry.before)
        return {};
    std::string out;
    int shown = 0;
    diff_trees(reader, *entry.before, entry.record.tree, {}, [&](const NodeChange &c) {
        const bool more = shown++ == kChangesShown;
        out += more ? "    and more: xs-show " + entry.record.id.hex() + "\n" : change_text(c, "    ");
        return !more;
    });
    return out;
}

std::string suspects_text(const RepositoryView &view, TreeReader &reader, const Bisection::Found &found,
                          bool utc)
{
    std::string out =
        fmt::format("The first bad commit is one of these {}. The first of them is bad, the others "
                    "could not be judged:\n",
                    found.suspects.size());
    for (const Oid &commit : found.suspects)
        out += short_text(entry_of(view, reader, commit), utc);
    return out;
}

} // namespace

std::string answer_text(const RepositoryView &view, const Bisection::Found &found, const Question &question,
                        bool utc)
{
    TreeReader reader(view.repo());
    const Oid &bad = found.suspects.front();
    std::string out;
    if (found.suspects.size() == 1) {
        const LogEntry entry = entry_of(view, reader, bad);
        out = commit_name(view.repo(), bad) + "\nis the first bad commit:\n\n" +
              verbose_text(reader, entry, utc) + changes_text(reader, entry) + "\n";
    } else {
        out = suspects_text(view, reader, found, utc) + "\n";
    }
    if (found.transaction)
        out += "It is part of a transaction: " + commit_name(view.repo(), *found.transaction) + "\n";
    if (found.only_merged)
        out += "It is a transaction whose steps alone do not show it: it takes what others committed "
               "meanwhile.\n";
    out += "Good until " + commit_name(view.repo(), found.good) + "\n";
    if (question.when)
        out += fmt::format("Since then {}: {}\n", *question.when ? "this holds" : "this no longer holds",
                           question.text);
    return out;
}

std::string answer_json(const RepositoryView &view, const Bisection::Found &found, const Question &question)
{
    TreeReader reader(view.repo());
    Json json = Json::object();
    json["suspects"] = Json::array();
    for (const Oid &commit : found.suspects)
        json["suspects"].push_back(log_json(reader, entry_of(view, reader, commit)));
    json["good"] = log_json(reader, entry_of(view, reader, found.good));
    if (found.transaction)
        json["transaction"] = log_json(reader, entry_of(view, reader, *found.transaction));
    if (found.only_merged)
        json["only_merged"] = true;
    if (!question.text.empty())
        json[question.when ? "condition" : "command"] = question.text;
    if (question.when)
        json["holds"] = *question.when;
    json["judged"] = found.judged;
    return json_line(json);
}

} // namespace xsgit::bisect
