// SPDX-License-Identifier: MIT
// A checkpoint: all state but the tree, the commit it belongs to, and the outputs that had
// not been sent. Format: engine/state_stream.hpp.
#pragma once

#include "server/store/store.hpp"
#include "xsgit/base/limits.hpp"
#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/repository.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace xsgit::server {

/// Outputs that may not have been sent, per connection. The committer keeps them for the
/// checkpoint; recovery for the loop.
class UnsentOutputs {
public:
    /// Adds the outputs of event `number`. Of a connection with more than twice kOutputDropEvents bytes of them those
    /// are dropped that `sent` says are gone; if that is not enough, its watch events: the loop has dropped them long
    /// since.
    void add(std::uint64_t number, const Outputs &out, const SentUpTo &sent);
    void add(UnsentOutput o);
    void forget(std::uint64_t conn);
    /// Drops what `sent` says is gone.
    void trim(const SentUpTo &sent);
    void save(StreamWriter &w) const;
    /// Everything, oldest event first within a connection; empties this.
    std::vector<UnsentOutput> take();
    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Queue {
        std::deque<UnsentOutput> items;
        std::size_t bytes = 0; // of the messages
    };
    void trim(Queue &q, const OutputName &first);
    std::map<std::uint64_t, Queue> queues_;
    std::size_t bytes_ = 0;
};

/// What a checkpoint says of git.
struct CheckpointHead {
    Tips tips;        // in a gap: of what history has
    bool gap = false; // what came behind that is given up
    EpochStart start;
    std::vector<std::pair<std::uint64_t, Oid>> bases; // main commits that open transactions started from
};

struct LoadedCheckpoint {
    CheckpointHead head;
    State state;
    UnsentOutputs unsent;
};

std::string write_checkpoint(const State &state, const HistoryWriter &writer, const UnsentOutputs &unsent);
/// One that stands without git: for a gap behind `written`. O(nodes).
std::string write_whole_checkpoint(const State &state, const Tips &written, const UnsentOutputs &unsent);

/// What the trees take there that open transactions started from; not much more is counted than `most`.
/// O(changes since the oldest of them).
std::uint64_t bases_bytes(const State &state, std::uint64_t most);

/// Reads `data`; trees come from `repo`, annotated for the state's epoch, or, in a gap, from `data`. Throws
/// StreamDamaged or GitError.
LoadedCheckpoint load_checkpoint(const std::string &data, const Repository &repo, ChangeSink *sink);

/// The writer that continues history behind a checkpoint, with whose trees `state` was loaded. `repo` outlives it.
std::unique_ptr<HistoryWriter> continue_history(const CheckpointHead &head, const State &state,
                                                const Repository *repo);

/// The head record alone; nullopt when damaged. Cheap.
std::optional<std::uint64_t> checkpoint_event(const std::string &data);

} // namespace xsgit::server
