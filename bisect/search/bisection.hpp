// SPDX-License-Identifier: MIT
// From two commits of a history to the one between them that made the difference.
#pragma once

#include "bisect/search/search.hpp"
#include "bisect/search/verdict_log.hpp"
#include "inspect/view.hpp"
#include "xsgit/git/first_parents.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::bisect {

class Bisection {
public:
    struct Hooks {
        /// Asked once for a commit at most. Empty: only what is known already counts.
        std::function<Verdict(const Oid &commit)> judge;
        /// Hears of each new verdict. `left`: commits that had not been judged before it.
        std::function<void(const LoggedVerdict &, std::size_t left)> judged;
    };
    struct Found {
        std::vector<Oid>
            suspects; // newest first; one: it is the first bad commit. More: those behind it were skipped
        Oid good;     // the newest that is known to be good
        std::optional<Oid> transaction; // the merge, if the suspects are steps of it
        // The first bad commit is a merge, and its steps alone do not show it: the fork that they start from was bad
        // already, or none of them is bad before it meets the others' changes.
        bool only_merged = false;
        std::size_t judged = 0; // by asking
    };

    /// `view` must outlive this.
    Bisection(const inspect::RepositoryView &view, std::vector<LoggedVerdict> known, Hooks hooks);

    /// Along first parents, then, if that is a transaction, along its steps. `good`: nullopt: walks back from `bad` by steps that double
    /// until one is good. Costs 1.5 us and 20 bytes for each commit between, and about log2 of their number in
    /// judgements. Throws inspect::ToolFailure if the ends are not what they are said to be, or not in one line of
    /// history (kDiffers); if history begins before a good one was found, or verdicts are missing or contradict each other
    /// (kDiffers, too).
    Found run(const Oid &bad, const std::optional<Oid> &good);

private:
    Verdict judge(const Oid &commit, std::size_t left);
    std::optional<Verdict> known(const Oid &commit) const;
    void must_be(const Oid &commit, Verdict wanted, const char *option);
    std::size_t place_of(FirstParents &history, const Oid &bad, const Oid &good);
    std::size_t find_good(FirstParents &history);
    /// `at(n)`: the commit at place n of the row that is searched.
    using Row = std::function<Oid(std::size_t n)>;
    Search narrow(std::size_t good, const Row &at);
    void use_known(Search &s, const Row &at) const;
    void descend(Found &found);
    [[noreturn]] void contradicts(const Oid &commit, Verdict v) const;

    const inspect::RepositoryView &view_;
    std::vector<LoggedVerdict> known_;
    Hooks hooks_;
    std::size_t judged_ = 0;
};

/// "#18240.2", or the first digits of a commit that is not the daemon's; and its operation.
std::string commit_name(const Repository &repo, const Oid &commit);

} // namespace xsgit::bisect
