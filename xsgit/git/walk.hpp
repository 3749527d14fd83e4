// SPDX-License-Identifier: MIT
// Reads history in the order in which it was committed.
#pragma once

#include "xsgit/git/commit_message.hpp"
#include "xsgit/git/repository.hpp"

#include <optional>
#include <vector>

namespace xsgit {

struct WalkedCommit {
    CommitInfo info;
    Trailers trailers;
};

/// The commits from `tip` along first parents, newest first, down to the root or to where history was
/// cut off, which may happen while one walks. About 3 us each.
///   for (HistoryWalk walk(repo, tip); auto c = walk.next();) …
class HistoryWalk {
public:
    /// `repo` must outlive this. A null `tip` is an empty history.
    HistoryWalk(const Repository &repo, const Oid &tip) : repo_(repo), next_(tip) {}

    /// Nullopt at the end. Throws GitError if the tip is missing or a commit is damaged.
    std::optional<WalkedCommit> next();
    /// Whether the walk ended at a commit whose parents are no longer there.
    bool was_cut() const noexcept { return cut_; }

private:
    const Repository &repo_;
    Oid next_;
    bool started_ = false;
    bool cut_ = false;
};

/// The steps of a transaction, oldest first, without `merge` itself. Empty for other commits,
/// and where they were cut off.
std::vector<WalkedCommit> side_commits(const Repository &repo, const CommitInfo &merge);

} // namespace xsgit
