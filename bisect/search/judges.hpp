// SPDX-License-Identifier: MIT
// Who says whether a commit is good: a condition, or a command that sees the past.
#pragma once

#include "bisect/search/bisection.hpp"
#include "bisect/search/condition.hpp"
#include "bisect/serve/private_socket.hpp"
#include "bisect/serve/signals.hpp"

#include <memory>
#include <string>
#include <vector>

namespace xsgit::bisect {

/// What is so at `bad` is bad, the opposite good: nobody has to say which of the two a condition describes. Commits that
/// were not made by xenstored are skipped.
class ConditionJudge {
public:
    /// `view` must outlive this. Throws inspect::ToolFailure if `bad` holds no state of the store.
    ConditionJudge(const inspect::RepositoryView &view, Condition condition, const Oid &bad);
    Verdict operator()(const Oid &commit);
    /// Whether the condition holds at `bad`.
    bool bad_when() const noexcept { return bad_when_; }

private:
    std::optional<bool> holds(const Oid &commit);

    const inspect::RepositoryView &view_;
    Condition condition_;
    inspect::TreeReader reader_;
    bool bad_when_ = false;
};

/// The exit codes of git bisect run: 0 good, 125 skip, others up to 127 bad.
class CommandJudge {
public:
    /// `view` must outlive this.
    CommandJudge(const inspect::RepositoryView &view, std::vector<std::string> words);
    /// Runs the command with the commit served at $XENSTORED_PATH, its id in $XS_BISECT_REV and the repository in $XS_REPO.
    /// Throws inspect::ToolFailure if it cannot be run, ends with 128 or more, or somebody asks us to end.
    Verdict operator()(const Oid &commit);

private:
    const inspect::RepositoryView &view_;
    std::vector<std::string> words_;
    std::shared_ptr<LoadCache> cache_ = make_load_cache();
    Signals signals_;
    PrivateSocket socket_;
};

} // namespace xsgit::bisect
