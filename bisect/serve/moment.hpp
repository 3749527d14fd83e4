// SPDX-License-Identifier: MIT
// A commit of a repository as a state that can be served.
#pragma once

#include "bisect/serve/past_state.hpp"
#include "inspect/view.hpp"

#include <memory>

namespace xsgit::bisect {

/// The state after `commit`, ready to be served; `view` must outlive it. About 2 us for each node that is not in
/// `cache`. Throws inspect::ToolFailure for commits that hold no state of the store (refused transactions, others'
/// commits), GitError for damage.
std::unique_ptr<PastState> state_at(const inspect::RepositoryView &view, const Oid &commit,
                                    const std::shared_ptr<LoadCache> &cache = nullptr);

/// Whether history up to `commit` says that the domain was introduced and has not been released, nor died, since. Where
/// the commit that would tell was pruned: true. 3 us for each commit since.
bool was_introduced(const Repository &repo, const Oid &commit, std::uint32_t domid);

} // namespace xsgit::bisect
