// SPDX-License-Identifier: MIT
// The commits that a filter lets through, newest first, refused transactions in between.
#pragma once

#include "inspect/log_filter.hpp"
#include "inspect/record.hpp"
#include "inspect/tree_reader.hpp"
#include "inspect/view.hpp"

#include <optional>
#include <vector>

namespace xsgit::inspect {

struct LogEntry {
    LogRecord record;
    std::optional<Oid> before;    // tree of the commit before; null: the empty store; nullopt: it was pruned
    std::vector<LogRecord> steps; // of a transaction: those that were asked for, oldest first
    Oid fork;                     // tree that the steps start from; null if not known
};

struct LogOptions {
    LogFilter filter;
    bool steps = true;     // transactions with their steps
    bool conflicts = true; // refused transactions, too
    // Only what is newer than these (what was shown before).
    std::uint64_t after_seq = 0, after_conflict = 0;
};

class LogWalk {
public:
    /// All must outlive this. `tip` null: an empty history.
    LogWalk(const RepositoryView &view, TreeReader &reader, const LogOptions &options, const Oid &tip,
            const Oid &conflicts);

    /// Nullopt at the end. About 5 us for each commit looked at; with paths, their directories on top.
    std::optional<LogEntry> next();
    /// Whether commits were missing that after_seq asks for: they were pruned.
    bool lost_some() const noexcept { return lost_; }

    /// One entry by its commit, as next() gives it; nullopt if the filter does not want it.
    std::optional<LogEntry> entry(const Oid &commit);

private:
    std::optional<LogEntry> next_main();
    std::optional<LogEntry> next_conflict();
    void step_main();
    bool done_with(const WalkedCommit &c) const;
    std::optional<LogEntry> examine(const WalkedCommit &c, std::optional<Oid> before);
    bool add_steps(LogEntry &e, const CommitInfo &merge);

    const Repository &repo_;
    TreeReader &reader_;
    const LogOptions &options_;
    HistoryWalk main_, refused_;
    std::optional<WalkedCommit> ahead_; // of main: its successor needs its tree
    Oid last_;                          // commit of main that was read last
    std::optional<LogEntry> main_entry_, refused_entry_;
    bool main_done_ = false, refused_done_ = false, lost_ = false;
};

} // namespace xsgit::inspect
