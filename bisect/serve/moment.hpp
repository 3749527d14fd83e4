// SPDX-License-Identifier: MIT
// A commit of a repository as a state that can be served.
#pragma once

#include "bisect/serve/past_state.hpp"
#include "inspect/view.hpp"

#include <memory>

namespace xsgit::bisect {

/// What `commit` is, if it holds a state of the store. Throws inspect::ToolFailure that says what else it is: a refused
/// transaction, others' commit; GitError for damage.
CommitInfo state_commit(const Repository &repo, const Oid &commit);

/// The state after `commit`, ready to be served; `view` must outlive it. About 2 us for each node that is not in
/// `cache`. Throws as state_commit().
std::unique_ptr<PastState> state_at(const inspect::RepositoryView &view, const Oid &commit,
                                    const std::shared_ptr<LoadCache> &cache = nullptr);

} // namespace xsgit::bisect
