// SPDX-License-Identifier: MIT
// Which domains were introduced at a moment of the past: history is read once, whoever asks how often.
#pragma once

#include "xsgit/git/walk.hpp"

#include <cstdint>
#include <unordered_map>

namespace xsgit::bisect {

class Introductions {
public:
    /// At `commit`; `repo` must outlive this.
    Introductions(const Repository &repo, const Oid &commit) : walk_(repo, commit) {}

    /// Whether history up to the commit says that the domain was introduced and has not been released, nor died, since.
    /// Where the commit that would tell was pruned: true. 3 us for each commit further back than all questions before
    /// have led. Throws GitError for damage.
    bool operator()(std::uint32_t domid);

private:
    void look_at(const std::string &subject);

    HistoryWalk walk_;                              // behind what known_ is of
    std::unordered_map<std::uint32_t, bool> known_; // by domid: at most 65536
};

} // namespace xsgit::bisect
