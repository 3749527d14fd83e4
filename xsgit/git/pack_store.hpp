// SPDX-License-Identifier: MIT
// The packs on disk: written, merged in tiers, dropped epoch by epoch.
//
// Every pack of ours has a .keep that stays ("xsgit epoch N tier T\n"), so that nobody's gc
// fuses epochs, and so that the set is found again after a restart without a manifest.
// An epoch's packs need no object of another epoch. Dropping one is: write `shallow`, drop
// the packs after a grace time. Packs without our .keep are other people's (a user's gc) and are left
// alone, except that they count into the size, and multi-pack-index is removed before packs are unlinked.
// Thread-safe: the committer adds, the maintenance thread merges and drops.
#pragma once

#include "xsgit/git/pack_buffer.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace xsgit {

class PackStore {
public:
    struct Limits {
        std::uint64_t bytes = 0;         // all packs together, merges' copies included
        std::uint32_t merge_width = 8;   // packs of one tier that become one of the next
        std::int64_t grace_us = 30'000'000; // between replacing and unlinking
    };
    struct Stats {
        std::uint64_t bytes = 0;       // all packs, replaced but not yet unlinked ones too
        std::uint64_t epoch_bytes = 0; // of the current epoch, live packs
        std::uint32_t packs = 0;
        std::uint32_t oldest_epoch = 0, current_epoch = 0;
        std::uint64_t merges = 0, dropped_epochs = 0;
    };

    /// `objects_dir` is <repository>/objects. Reads what is there: removes temporary files
    /// and packs of ours without index. Throws std::system_error.
    PackStore(std::string objects_dir, Limits limits);
    ~PackStore();

    /// Writes pack, keep, idx (in this order, each complete before its rename). Returns when git
    /// can see it. Throws std::system_error (ENOSPC): nothing is left behind.
    void add(const FinishedPack &pack, std::uint32_t epoch);

    /// Packs added from now on belong to `epoch` (larger than any before).
    void begin_epoch(std::uint32_t epoch);
    /// Oldest epoch that has packs.
    std::uint32_t oldest_epoch() const;
    /// True when the current epoch has its share of the limit: time for an Epoch event.
    bool wants_epoch() const;
    /// True when the oldest epoch (never the current one) should be dropped to stay in the limit.
    bool wants_drop() const;
    /// Forgets the packs of `epoch`; unlinks them after the grace time, at once if the limit
    /// would be broken. The caller has moved `shallow` before.
    void drop_epoch(std::uint32_t epoch);

    /// One step of maintenance: at most one merge, and unlinking what is due. `now_us` is
    /// monotonic. True if there is more to do at once. Inputs of a merge that vanished are forgotten.
    /// Duplicate objects are dropped, deltas keep their bases.
    bool maintain(std::int64_t now_us);

    Stats stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit
