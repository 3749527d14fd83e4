// SPDX-License-Identifier: MIT
// From files to state: the newest checkpoint that holds, then the journal's tail. Pure
// reading; tools use it on a killed daemon's repository too.
#pragma once

#include "server/store/checkpoint.hpp"
#include "server/store/state_dir.hpp"
#include "xsgit/journal/journal.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::server {

/// One of those that are kept.
struct KeptCheckpoint {
    std::uint64_t event = 0; // the last that it has; 0: it cannot be read
    std::string file, data;
};

/// The newest first.
std::vector<KeptCheckpoint> kept_checkpoints(const StatePaths &paths);

struct Recovered {
    State state;
    UnsentOutputs unsent;
    std::string checkpoint; // the one that was used; empty: folded from the first event
    CheckpointHead head;    // of it
    Journal::Position from; // first event behind it
    Journal::Position end;  // behind the last event folded
};

/// Tries checkpoint, checkpoint.old and those of a gap, the newest first, and the journal alone if it still has its first event; folds what
/// follows. `sink` hears the fold's history; `begin(head, state)`, if given, is called between
/// checkpoint and fold. `report` gets a line for everything that was damaged. Nullopt when none leads to
/// a whole state. `sent`: what need not be made again; it bounds what is kept of it.
std::optional<Recovered> recover(const StatePaths &paths, const Repository &repo, const Journal &journal,
                                 ChangeSink *sink,
                                 const std::function<void(const CheckpointHead &, const State &)> &begin,
                                 const std::function<void(const std::string &)> &report,
                                 const SentUpTo &sent);

} // namespace xsgit::server
