// SPDX-License-Identifier: MIT
#include "bisect/search/judges.hpp"

#include "bisect/serve/command.hpp"
#include "bisect/serve/moment.hpp"
#include "inspect/failure.hpp"
#include "xsgit/git/commit_message.hpp"

#include <filesystem>
#include <fmt/core.h>

namespace xsgit::bisect {

namespace {

constexpr int kSkip = 125, kAbort = 128; // as git has them

} // namespace

ConditionJudge::ConditionJudge(const inspect::RepositoryView &view, Condition condition, const Oid &bad)
    : view_(view), condition_(std::move(condition)), reader_(view.repo())
{
    bad_when_ = condition_.holds(reader_, state_commit(view.repo(), bad).tree);
}

std::optional<bool> ConditionJudge::holds(const Oid &commit)
{
    const CommitInfo info = view_.repo().commit(commit).value();
    if (parse_trailers(info.message).seq == 0)
        return std::nullopt;
    return condition_.holds(reader_, info.tree);
}

Verdict ConditionJudge::operator()(const Oid &commit)
{
    const auto now = holds(commit);
    return !now ? Verdict::Skip : *now == bad_when_ ? Verdict::Bad : Verdict::Good;
}

CommandJudge::CommandJudge(const inspect::RepositoryView &view, std::vector<std::string> words)
    : view_(view), words_(std::move(words))
{
}

Verdict CommandJudge::operator()(const Oid &commit)
{
    if (parse_trailers(view_.repo().commit(commit).value().message).seq == 0)
        return Verdict::Skip;
    PastServer server(socket_.path(), state_at(view_, commit, cache_));
    const Command command{
        words_,
        {{"XS_BISECT_REV", commit.hex()}, {"XS_REPO", std::filesystem::absolute(view_.path())}},
        true};
    const CommandEnd end = run_beside(server, command, signals_);
    if (end.signal_to_us != 0)
        throw inspect::ToolFailure(static_cast<inspect::ExitCode>(kAbort + end.signal_to_us),
                                   "interrupted; a log written with --log can be gone on with by --replay");
    if (end.status >= kAbort)
        throw inspect::ToolFailure(
            inspect::kDiffers,
            fmt::format("the command ended with {} at {}: 128 and more mean to stop (125: to skip a commit)",
                        end.status, commit_name(view_.repo(), commit)));
    return end.status == 0 ? Verdict::Good : end.status == kSkip ? Verdict::Skip : Verdict::Bad;
}

} // namespace xsgit::bisect
