// SPDX-License-Identifier: MIT
#include "xsgit/git/walk.hpp"

#include <algorithm>

namespace xsgit {

std::optional<WalkedCommit> HistoryWalk::next()
{
    if (next_.is_null())
        return std::nullopt;
    auto info = repo_.commit(next_);
    if (!info) {
        // The epoch below may have been dropped since the last step. Whether anything else is lost is fsck's to say.
        if (!started_)
            throw GitError("commit " + next_.hex() + " is missing in " + repo_.git_dir());
        cut_ = true;
        next_ = Oid{};
        return std::nullopt;
    }
    started_ = true;
    next_ = Oid{};
    if (!info->parents.empty()) {
        if (repo_.is_shallow(info->id))
            cut_ = true;
        else
            next_ = info->parents.front();
    }
    Trailers trailers = parse_trailers(info->message);
    return WalkedCommit{std::move(*info), std::move(trailers)};
}

std::vector<WalkedCommit> side_commits(const Repository &repo, const CommitInfo &merge)
{
    std::vector<WalkedCommit> steps;
    if (merge.parents.size() != 2 || repo.is_shallow(merge.id) || !repo.exists(merge.parents[1]))
        return steps;
    // The steps carry the merge's number; the commit they fork from carries another one.
    const std::uint64_t seq = parse_trailers(merge.message).seq;
    HistoryWalk side(repo, merge.parents[1]);
    while (auto c = side.next()) {
        if (c->trailers.seq != seq || c->trailers.step == 0)
            break;
        steps.push_back(std::move(*c));
    }
    std::reverse(steps.begin(), steps.end());
    return steps;
}

} // namespace xsgit
