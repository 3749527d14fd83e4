// SPDX-License-Identifier: MIT
// Turns changes into git objects and commits, in memory until publish().
//
// It is the sink of the committer's engine. Nodes are annotated with object ids; the
// difference between two trees is found by walking both, and only what differs is hashed.
// Layout of the objects: tree_encoder.hpp. Commits: commit_message.hpp.
#pragma once

#include "xsgit/change.hpp"
#include "xsgit/git/oid.hpp"
#include "xsgit/git/pack_buffer.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace xsgit {

/// The ends of the branches that we write.
struct Tips {
    std::uint64_t seq = 0; // of main; 0: no commit yet
    Oid main;
    Oid main_tree;
    std::uint64_t conflicts_number = 0;
    Oid conflicts; // null: no conflict yet
};

class Repository;

/// First commits written in the current epoch (they become `shallow` when older epochs are
/// dropped). Zero and null until there is one. side: the first commit of the transaction that `main` merges, if it
/// merges one, for its parent lies in the old epoch as well. conflicts: the carried-over tip, if there was one.
struct EpochStart {
    std::uint64_t seq = 0;
    Oid main, side, conflicts;
};

class HistoryWriter final : public ChangeSink {
public:
    using EpochStart = xsgit::EpochStart;

    /// Continues after `tips` in `epoch`. `head` is the tree of tips.main (empty when seq is 0), loaded with
    /// annotations by tree_loader. `start` is what epoch_start() of the writer before said (of a new epoch: nothing).
    /// `published`, if any, outlives this; commits and conflicts that this writer did not write itself are read
    /// there when they are needed, so that the ids of what follows do not depend on a restart.
    HistoryWriter(const Tips &tips, const Tree &head, std::uint32_t epoch, const EpochStart &start = {},
                  const Repository *published = nullptr);
    ~HistoryWriter();

    void on_change(const Change &c) override;
    void on_conflict(const Conflict &c) override;
    /// Fills pack() with all that later commits rely on. Publish what is in pack() before the Epoch event is
    /// stepped, else the end of the old epoch lands in the new one's packs. If the last conflict was not written by this
    /// writer and is gone, tips().conflicts is null until the next one.
    /// In a gap, an epoch that does not end it is passed over.
    void on_epoch(const NewEpoch &e, const Tree &head) override;

    /// What came behind `written` cannot be written: it is forgotten, with what is in pack(), and so is what comes, until
    /// an epoch ends the gap. That one begins with a commit that stands for all of it. tips() is `written` until then,
    /// and may be further than this writer is; all they need has been published.
    void give_up(const Tips &written);
    bool in_gap() const noexcept;

    const Tips &tips() const noexcept;
    std::uint32_t epoch() const noexcept;
    /// Objects not yet taken.
    const PackBuffer &pack() const noexcept;
    PackBuffer &pack() noexcept;

    /// Commit id of a main commit of this epoch or the one before; nullopt if it is older, or unknown. O(1) for
    /// those written by this writer or named by remember(); the first look-up of an older one reads back to it.
    std::optional<Oid> commit_of(std::uint64_t seq) const;
    void remember(std::uint64_t seq, const Oid &commit);

    const EpochStart &epoch_start() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit
