// SPDX-License-Identifier: MIT
// The packs on disk: written, merged in tiers, dropped epoch by epoch.
//
// Every pack of ours has a .keep that stays ("xsgit epoch N tier T\n"), so that nobody's gc
// fuses epochs, and so that the set is found again after a restart without a manifest.
// An epoch's packs need no object of another epoch. Dropping one is: write `shallow`, drop
// the packs after a grace time. Packs without our .keep are other people's (a user's gc) and are left
// alone, except that they count into the size, and multi-pack-index is removed before packs are unlinked.
// Thread-safe: the committer adds, the maintenance thread merges and drops.
//
// A kill at any instant leaves a valid store, as each file is complete before it gets its name
// (pack_dir.hpp has the orders), and as the inputs of a merge go only after its result has come. Inputs
// that were merged but not yet unlinked come back as packs at the next start: duplicates, which the next
// merge drops.
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
        std::uint64_t bytes = 0;            // all packs together, merges' copies included; 0: none
        std::uint32_t merge_width = 8;      // packs of one tier that become one of the next
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
    std::uint64_t limit() const noexcept; // in bytes; 0: none

    /// Writes keep, pack, idx (in this order, each complete before its rename). Returns when git
    /// can see it: some 50 us and 1 ns a byte on tmpfs; never waits for a merge. An empty pack is no pack.
    /// Without room, packs in their grace time go first; then throws std::system_error (ENOSPC), and
    /// nothing is left behind.
    void add(const FinishedPack &pack, std::uint32_t epoch);

    /// So much of the limit is taken by something else at present; at least a quarter of it stays for packs.
    void set_reserved(std::uint64_t bytes);
    /// Packs added from now on belong to `epoch` (larger than any before).
    void begin_epoch(std::uint32_t epoch);
    /// Oldest epoch that has packs.
    std::uint32_t oldest_epoch() const;
    /// True when the current epoch has its share of the limit, a sixth: time for an Epoch event.
    bool wants_epoch() const;
    /// True when the oldest epoch (never the current one) should be dropped to stay in the limit.
    /// Packs in their grace time do not count: they can go at any time.
    bool wants_drop() const;
    /// Forgets the packs of `epoch`; unlinks them after the grace time, at once if the limit
    /// would be broken. The caller has moved `shallow` before.
    void drop_epoch(std::uint32_t epoch);

    /// One step of maintenance: at most one merge, and unlinking what is due. `now_us` is
    /// monotonic. True if there is more to do at once. Inputs of a merge that vanished are forgotten.
    /// Duplicate objects are dropped, deltas keep their bases. Packs of an epoch that is no longer
    /// current become one. Without room for a merge there is none. For one thread at a time.
    /// Throws std::system_error for anything but lack of room.
    bool maintain(std::int64_t now_us);

    /// Packs of ours that somebody else has taken away, since this was made; a look every few seconds finds them.
    std::uint64_t vanished() const noexcept;
    Stats stats() const;
    /// Paths of the .pack files of ours that are neither replaced nor dropped, by age.
    std::vector<std::string> live_packs() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit
