// SPDX-License-Identifier: MIT
#include "bisect/serve/moment.hpp"

#include "bisect/serve/introductions.hpp"
#include "inspect/failure.hpp"
#include "xsgit/git/commit_message.hpp"

#include <utility>

namespace xsgit::bisect {

namespace {

constexpr std::uint32_t kEpoch = 1; // of annotations that nobody here reads

} // namespace

CommitInfo state_commit(const Repository &repo, const Oid &commit)
{
    auto info = repo.commit(commit);
    if (!info)
        throw inspect::ToolFailure(inspect::kNoRevision, "no such commit: " + commit.hex());
    const Trailers trailers = parse_trailers(info->message);
    if (trailers.conflict_number != 0)
        throw inspect::ToolFailure(inspect::kNoRevision,
                                   commit.hex() +
                                       " is a transaction that was refused: there was no such state. "
                                       "Take the commit before it: #" +
                                       std::to_string(trailers.head_seq));
    if (trailers.seq == 0)
        throw inspect::ToolFailure(inspect::kNoRevision,
                                   commit.hex() +
                                       " was not made by xenstored: it holds no state of the store");
    return std::move(*info);
}

std::unique_ptr<PastState> state_at(const inspect::RepositoryView &view, const Oid &commit,
                                    const std::shared_ptr<LoadCache> &cache)
{
    const CommitInfo info = state_commit(view.repo(), commit);
    return std::make_unique<PastState>(load_tree(view.repo(), info.tree, kEpoch, cache),
                                       Introductions(view.repo(), commit));
}

} // namespace xsgit::bisect
