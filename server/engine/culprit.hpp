// SPDX-License-Identifier: MIT
// Which commit made a transaction fail: the newest one that changed what its request saw.
// Kept only where history is written; not part of the state, and bounded.
#pragma once

#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <deque>

namespace xsgit::server {

class RecentTrees {
public:
    static constexpr std::size_t kKept = 1024;

    /// main as it is after commit `seq`. O(1).
    void add(std::uint64_t seq, Tree after);
    /// The newest commit after `base_seq` that changed value, permissions or child names of `path`,
    /// or whether it or something above it exists. 0: none among those kept. O(kKept * depth).
    std::uint64_t changed(const Path &path, std::uint64_t base_seq) const;

private:
    struct Entry {
        std::uint64_t seq;
        Tree tree;
    };
    std::deque<Entry> entries_;
};

} // namespace xsgit::server
