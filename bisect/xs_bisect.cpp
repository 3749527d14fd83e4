// SPDX-License-Identifier: MIT
// xs-bisect: the commit that made the difference.
#include "bisect/search/answer.hpp"
#include "bisect/search/bisection.hpp"
#include "bisect/search/condition_parser.hpp"
#include "bisect/search/judges.hpp"
#include "bisect/serve/command_line.hpp"
#include "bisect/serve/moment.hpp"
#include "inspect/revision.hpp"
#include "inspect/tool.hpp"
#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <fmt/core.h>

using namespace xsgit;
using namespace xsgit::bisect;
using namespace xsgit::inspect;

namespace {

struct Options {
    std::string good, bad, run, expression, log, replay;
    std::vector<std::string> skip;
    std::optional<std::string> path, is, matches, perms;
    bool exists = false, missing = false, find_good = false, json = false, quiet = false;
};

/// Nullopt: none of the options that make one was given.
std::optional<Condition> condition_of(const Options &o)
{
    const int questions =
        int(o.is.has_value()) + o.matches.has_value() + o.perms.has_value() + o.exists + o.missing;
    if (!o.path) {
        if (questions != 0)
            throw ToolFailure(kUsage, "of which node? Give --path");
        return o.expression.empty() ? std::nullopt : std::optional(parse_condition(o.expression));
    }
    if (questions != 1 || !o.expression.empty())
        throw ToolFailure(
            kUsage, "--path takes one of --is, --matches, --perms, --exists, --missing; for more, --expr");
    const Path path = parse_path(*o.path);
    if (o.is)
        return Condition::value_is(path, *o.is);
    if (o.matches)
        return Condition::value_matches(path, *o.matches);
    if (o.perms)
        return Condition::perms_are(path, *o.perms);
    const Condition exists = Condition::exists(path);
    return o.exists ? exists : Condition::negation(exists);
}

/// The first in the log with that verdict: the ends are judged first.
std::optional<Oid> end_in_log(const std::vector<LoggedVerdict> &log, Verdict v)
{
    const auto it = std::find_if(log.begin(), log.end(), [&](const auto &l) { return l.verdict == v; });
    return it == log.end() ? std::nullopt : std::optional(it->commit);
}

struct Ends {
    Oid bad;
    std::optional<Oid> good; // nullopt: to be found
};

Ends ends_of(const RepositoryView &view, const Options &o, const std::vector<LoggedVerdict> &known, bool utc)
{
    Ends e;
    const auto logged_bad = o.bad.empty() ? end_in_log(known, Verdict::Bad) : std::nullopt;
    e.bad = logged_bad ? *logged_bad : resolve(view, o.bad, utc);
    if (logged_bad && !view.repo().exists(e.bad))
        throw ToolFailure(kNoRevision, "the log is of another history: commit " + e.bad.hex() +
                                           " is not in " + view.path());
    if (!logged_bad)
        (void)state_commit(view.repo(), e.bad);
    if (o.find_good)
        return e;
    e.good = o.good.empty() ? end_in_log(known, Verdict::Good) : resolve(view, o.good, utc);
    if (!e.good)
        throw ToolFailure(kUsage, "since when? Give --good REV, or --find-good to look for one");
    if (!o.good.empty())
        (void)state_commit(view.repo(), *e.good);
    return e;
}

std::string joined(const std::vector<std::string> &words)
{
    std::string out;
    for (const std::string &w : words)
        out += (out.empty() ? "" : " ") + escape(w);
    return out;
}

class Session {
public:
    Session(Tool &tool, const Options &o) : tool_(tool), o_(o), view_(tool.open()) {}

    int run(const std::vector<std::string> *words)
    {
        const auto condition = condition_of(o_);
        must_be_one_question(condition.has_value(), words);
        std::vector<LoggedVerdict> known;
        if (!o_.replay.empty())
            known = read_verdict_log(o_.replay);
        const Ends ends = ends_of(*view_, o_, known, tool_.utc());
        for (const std::string &rev : o_.skip)
            known.push_back({resolve(*view_, rev, tool_.utc()), Verdict::Skip});
        Bisection::Hooks hooks;
        std::optional<ConditionJudge> by_condition;
        std::optional<CommandJudge> by_command;
        if (condition) {
            by_condition.emplace(*view_, *condition, ends.bad);
            question_ = {condition->text(), by_condition->bad_when()};
            hooks.judge = std::ref(*by_condition);
        } else if (words) {
            by_command.emplace(*view_, *words);
            question_.text = joined(*words);
            hooks.judge = std::ref(*by_command);
        }
        open_log(known);
        hooks.judged = [&](const LoggedVerdict &v, std::size_t left) { tell(v, left, words && !o_.quiet); };
        return answer(Bisection(*view_, std::move(known), std::move(hooks)).run(ends.bad, ends.good));
    }

private:
    void must_be_one_question(bool condition, const std::vector<std::string> *words) const
    {
        if (words && o_.run.empty())
            throw ToolFailure(kUsage, "to judge by a command: xs-bisect ... run -- CMD");
        if (!words && !o_.run.empty())
            throw ToolFailure(kUsage, "run what? xs-bisect ... run -- CMD");
        if (words && condition)
            throw ToolFailure(kUsage, "a condition or a command, not both");
        if (!words && !condition && o_.replay.empty())
            throw ToolFailure(
                kUsage, "what is bad? Give --path and --is, --exists or the like, --expr, or run -- CMD");
    }

    /// Begins with what is known: it may replace the log that this was taken from.
    void open_log(const std::vector<LoggedVerdict> &known)
    {
        if (o_.log.empty())
            return;
        const std::string what = question_.text.empty() ? "replayed"
                                 : question_.when       ? "condition: "
                                                        : "command: ";
        log_.emplace(o_.log, what + question_.text);
        for (const LoggedVerdict &v : known)
            log_->add(v, commit_name(view_->repo(), v.commit));
    }

    void tell(const LoggedVerdict &v, std::size_t left, bool aloud)
    {
        if (!log_ && !aloud)
            return;
        const std::string name = commit_name(view_->repo(), v.commit);
        if (log_)
            log_->add(v, name);
        if (aloud)
            tool_.note(fmt::format("{}: {}{}", verdict_name(v.verdict), name,
                                   left > 1 ? fmt::format(" (one of {})", left) : ""));
    }

    int answer(const Bisection::Found &found)
    {
        if (log_)
            for (const Oid &commit : found.suspects)
                log_->remark((found.suspects.size() == 1 ? "first bad commit: " : "suspect: ") +
                             commit_name(view_->repo(), commit));
        print(o_.json ? answer_json(*view_, found, question_)
                      : answer_text(*view_, found, question_, tool_.utc()));
        return found.suspects.size() == 1 ? kOk : kDiffers;
    }

    Tool &tool_;
    const Options &o_;
    std::unique_ptr<RepositoryView> view_;
    Question question_;
    std::optional<VerdictLog> log_;
};

void declare(CLI::App &app, Options &o)
{
    app.add_option("--good", o.good, "a commit at which all was well")->type_name("REV");
    app.add_option("--bad", o.bad, "a later one at which it is not (default: the last commit)")
        ->type_name("REV");
    app.add_flag("--find-good", o.find_good, "look for a good commit, from the bad one back")
        ->excludes("--good");
    app.add_option("--skip", o.skip, "do not judge this commit; can be repeated")
        ->type_name("REV")
        ->expected(1)
        ->take_all();
    app.add_option("--path", o.path, "a node, with one of:")->type_name("PATH");
    app.add_option("--is", o.is, "its value")->type_name("VALUE");
    app.add_option("--matches", o.matches, "its value, as a regular expression")->type_name("REGEX");
    app.add_option("--perms", o.perms, "its permissions: n0,r5")->type_name("LIST");
    app.add_flag("--exists", o.exists, "it is there");
    app.add_flag("--missing", o.missing, "it is not");
    app.add_option("--expr", o.expression, "a condition: 'state = 4 and not (/a or /b ~ \"x.*\")'")
        ->type_name("CONDITION")
        ->check(not_empty);
    app.add_option("--log", o.log, "write what is found of each commit there")
        ->type_name("FILE")
        ->check(not_empty);
    app.add_option("--replay", o.replay, "take from a log what is known already")
        ->type_name("FILE")
        ->check(not_empty);
    app.add_flag("--json", o.json, "the answer as a JSON object");
    app.add_flag("-q,--quiet", o.quiet, "say nothing while commands are run");
    app.add_option("run", o.run, "judge by a command: see below")->check(CLI::IsMember({"run"}));
    app.footer("run -- CMD [ARG...]: CMD sees each state at $XENSTORED_PATH and ends with 0 if it is good, "
               "125 if it\n"
               "cannot tell, 128 or more to stop; else it is bad.");
}

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-bisect", "Find the commit, among very many, that made the difference.");
    Options o;
    declare(tool.app(), o);
    const CommandLine line(argc, argv);
    return tool.run(line.argc(), argv, [&] { return Session(tool, o).run(line.command()); });
}
