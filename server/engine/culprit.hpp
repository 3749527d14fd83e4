// SPDX-License-Identifier: MIT
// Which commit made a transaction fail: the newest one that changed what its request saw.
// Kept only where history is written; not part of the state, and bounded.
#pragma once

#include "xsgit/change.hpp"

#include <cstdint>
#include <deque>

namespace xsgit::server {

class RecentChanges {
public:
    static constexpr std::size_t kKept = 1024;
    /// What the older versions of the tree that are kept may hold, as their adders estimated it.
    static constexpr std::size_t kKeptBytes = 32u << 20;

    struct Culprit {
        std::uint64_t seq = 0;
        std::uint32_t domid = 0; // who committed
    };

    /// Notes a commit on main. O(depth). Of a single request only its path is kept: a thousand versions of the tree
    /// would push everything else out of the processor's cache.
    /// `bytes`: what a transaction has made anew, at most.
    void add(const Change &c, std::size_t bytes = 0);
    /// The newest commit after `base_seq` that changed value, permissions or child names of `path`,
    /// or whether it or something above it exists. `now`: main after the newest. Seq 0: none among those kept.
    /// O(kKept * depth).
    Culprit changed(const Path &path, const Tree &now, std::uint64_t base_seq) const;

private:
    struct Entry {
        Culprit by;
        std::size_t bytes = 0;
        // Of a single request.
        Path path;                // what it changed; the uppermost node that came or went
        bool node_itself = false; // value or permissions
        bool perms = false;       // permissions
        bool existence = false;   // of the path and what lies below
        // Of all others.
        Tree before, after;
    };
    static bool touches(const Entry &e, const Path &path, const Tree &now);

    std::deque<Entry> entries_;
    std::size_t bytes_ = 0; // of all entries
};

} // namespace xsgit::server
