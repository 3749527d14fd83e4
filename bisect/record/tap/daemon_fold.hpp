// SPDX-License-Identifier: MIT
// The state of a running daemon, made anew in this process from what it leaves in its repository.
#pragma once

#include "server/engine/state.hpp"
#include "server/store/state_dir.hpp"
#include "xsgit/journal/journal.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>

namespace xsgit::record {

/// Reads the checkpoint once, then the journal, event by event, as fast as the daemon writes it. Everything is mapped for reading or
/// read; nothing here can be noticed by the daemon. Memory: a state as the daemon's own. One thread.
class DaemonFold {
public:
    /// `path`: the repository of a daemon of this host. The state is then that of the journal's end. Throws
    /// inspect::ToolFailure that says what to do.
    explicit DaemonFold(const std::string &path);

    /// Before the event that next() gives.
    const server::State &state() const noexcept { return state_; }

    /// The next event, not executed yet; nullopt: there is none now. Views are valid until the next call. Throws JournalDamaged,
    /// JournalOvertaken too: then reload().
    std::optional<Event> next() { return journal_->next(at_); }
    /// Executes what next() gave. `out` gets what the daemon put out; true if it says that it was the same.
    bool step(const Event &e, server::Outputs &out);

    /// Number of the last event that is in the journal now.
    std::uint64_t newest() const noexcept { return journal_->head().number - 1; }
    /// Wall time of the first event of the store, microseconds since 1970, if nothing was committed behind it and it can
    /// still be read.
    std::optional<std::int64_t> fresh_since() const;

    /// Goes to the journal's end. Gives how many events were never given out. Tries for some seconds, as a daemon may be on
    /// its way; then throws inspect::ToolFailure.
    std::uint64_t reload();

    /// Looks at the files again. Gone: another store stands there, or none. Moved: the daemon goes on in another journal.
    enum class Place { Same, JournalMoved, StoreGone };
    Place look() const noexcept;

private:
    using FileId = std::pair<dev_t, ino_t>; // {0, 0}: none
    static FileId id_of(const std::string &path) noexcept;
    std::string try_load();

    server::StatePaths paths_;
    FileId store_, journal_id_;
    std::unique_ptr<Journal> journal_;
    server::State state_;
    Journal::Position at_;
};

} // namespace xsgit::record
