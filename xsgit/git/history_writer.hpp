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
    std::uint64_t seq = 0;  // of main; 0: no commit yet
    Oid main;
    Oid main_tree;
    std::uint64_t conflicts_number = 0;
    Oid conflicts; // null: no conflict yet
};

class HistoryWriter final : public ChangeSink {
public:
    /// Continues after `tips` in `epoch`. `head` is the tree of tips.main (empty when seq is 0), loaded with
    /// annotations by tree_loader.
    HistoryWriter(const Tips &tips, const Tree &head, std::uint32_t epoch);
    ~HistoryWriter();

    void on_change(const Change &c) override;
    void on_conflict(const Conflict &c) override;
    void on_epoch(std::uint32_t epoch, const Tree &head) override;

    const Tips &tips() const noexcept;
    std::uint32_t epoch() const noexcept;
    /// Objects not yet taken.
    const PackBuffer &pack() const noexcept;
    PackBuffer &pack() noexcept;

    /// Commit id of a main commit of this epoch that was written by this writer or named by
    /// remember(). Nullopt if unknown.
    std::optional<Oid> commit_of(std::uint64_t seq) const;
    void remember(std::uint64_t seq, const Oid &commit);

    /// First commits written in the current epoch (they become `shallow` when older epochs are
    /// dropped). Null ids until there is one. conflicts: the carried-over tip, if there was one.
    struct EpochStart {
        std::uint64_t seq = 0;
        Oid main, conflicts;
    };
    const EpochStart &epoch_start() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit
