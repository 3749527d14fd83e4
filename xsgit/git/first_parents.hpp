// SPDX-License-Identifier: MIT
// The ids of a history in the order in which it was committed, and nothing else of it: for those who want to
// look at few of very many commits.
#pragma once

#include "xsgit/git/repository.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace xsgit {

/// Number 0 is the tip, number 1 its first parent, and so on, down to the root or to where history was cut off. Reads as
/// far back as it is asked for: about 1.5 us and 20 bytes a commit. Throws GitError if the tip is missing, or if what
/// stands there is no commit.
class FirstParents {
public:
    /// `repo` must outlive this. A null `tip` is an empty history.
    FirstParents(const Repository &repo, const Oid &tip);

    /// Nullopt: history does not go back so far.
    std::optional<Oid> at(std::size_t n);
    /// The number of `commit`; nullopt if it is not in this history, all of which was read then.
    std::optional<std::size_t> find(const Oid &commit);
    /// How many commits were read: all of them, once at() or find() has said nullopt.
    std::size_t read() const noexcept { return ids_.size(); }
    /// Whether the last one's parents are no longer there. Valid when all were read.
    bool was_cut() const noexcept { return cut_; }

private:
    /// One more; false at the end.
    bool step();

    const Repository &repo_;
    std::vector<Oid> shallow_; // in order
    std::vector<Oid> ids_;
    Oid next_;
    bool cut_ = false;
};

} // namespace xsgit
