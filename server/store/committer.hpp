// SPDX-License-Identifier: MIT
// The committer: a thread that folds the journal with an engine of its own and turns what
// happens into git objects, packs, refs and checkpoints. It publishes when the journal is drained, else every 50 ms.
#pragma once

#include "server/store/checkpoint.hpp"
#include "server/store/epochs.hpp"
#include "server/store/fault_mark.hpp"
#include "server/store/history_refs.hpp"
#include "server/store/state_dir.hpp"
#include "server/store/whole_files.hpp"
#include "xsgit/git/pack_store.hpp"
#include "xsgit/journal/journal.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace xsgit::server {

/// What recovery hands over: where the fold continues.
struct CommitterStart {
    std::string checkpoint;          // its bytes; empty: fold from the first event
    Journal::Position from;          // first event after it
    std::uint64_t gap_since = 0;     // first commit that history will not have; 0: no gap
    std::uint64_t first_publish = 0; // refs move only when this event is folded: they were there before
    /// Last commit that the journal leads to; refs that are further lead to what it has lost.
    std::uint64_t seq = UINT64_MAX;
};

class Committer final : private ChangeSink {
public:
    using Report = std::function<void(const std::string &)>;

    /// Starts the thread. `journal`, `packs` outlive this. `report` is called from the thread.
    /// `wake` is called from it too, when `wanted` is set.
    Committer(const StatePaths &paths, Journal &journal, PackStore &packs, CommitterStart start,
              SentUpTo sent, Report report, std::function<void()> wake);
    /// Publishes everything, writes a checkpoint, ends the thread.
    ~Committer();

    /// Whether everything up to event `number` is published; if not, that is hurried.
    bool published(std::uint64_t number);
    /// Waits for it; false after `patience_ms`.
    bool sync_within(std::uint64_t number, std::int64_t patience_ms);
    /// Monotonic time of the oldest event that is not published; 0: none that we know of.
    std::int64_t behind_since_us() const noexcept { return behind_since_.load(std::memory_order_relaxed); }
    /// Monotonic time of the event that is folded now, within 64 events; 0: none waits.
    std::int64_t folding_us() const noexcept { return folding_.load(std::memory_order_relaxed); }
    /// History cannot be written: the file system is full, or broken.
    bool stuck() const noexcept { return stuck_.load(std::memory_order_relaxed); }
    /// As Store has it.
    std::vector<std::uint32_t> take_culprits();
    /// First commit that history will not have; 0: none.
    std::uint64_t gap_since() const noexcept { return gap_since_.load(std::memory_order_relaxed); }

    /// What the server is to put into the journal as an Epoch event, and then to clear.
    enum class Wanted : std::uint8_t { Nothing, Epoch, EndOfGap };
    std::atomic<Wanted> wanted{Wanted::Nothing};

private:
    void on_change(const Change &c) override;
    void on_conflict(const Conflict &c) override;
    void on_epoch(const NewEpoch &e, const Tree &head) override;

    static constexpr std::int64_t kCheckpointEvery = 1'000'000; // us

    void run();
    void load();
    bool fold_some();
    void pause();
    void publish();
    void note_published();
    void want(Wanted w);
    // committer_room.cpp
    bool flush_pack();
    void note_epoch_start();
    void look_for_loss();
    void begin_history_at(const EpochBoundary &b);
    void drop_old_epochs();
    bool drop_oldest_epoch();
    bool is_full() const noexcept;
    void cannot_write(const std::string &what, bool full);
    // committer_gap.cpp
    void checkpoint();
    void note_checkpoint();
    bool write_whole();
    void report_no_room();
    bool give_up();
    bool begin_gap(const std::string &why);
    void leave_out_what_failed();
    void pass_over();
    void reserve_whole(std::size_t checkpoint);
    void look_for_room();

    StatePaths paths_;
    Journal &journal_;
    PackStore &packs_;
    CommitterStart start_;
    SentUpTo sent_;
    Report report_;
    std::function<void()> wake_;

    // The thread's own.
    std::unique_ptr<Repository> repo_;
    std::unique_ptr<HistoryWriter> writer_;
    std::unique_ptr<HistoryRefs> refs_;
    State state_;
    UnsentOutputs unsent_;
    Outputs outputs_;
    std::unique_ptr<Epochs> epochs_;
    Journal::Position at_;
    bool hash_reported_ = false;
    std::atomic<bool> stuck_{false};
    const std::size_t pack_bytes_; // an open pack that grows beyond is published
    std::int64_t last_publish_us_ = 0, last_checkpoint_us_ = 0;
    Journal::Position checkpoint_at_, checkpoint_old_at_;
    // Epochs of the two checkpoints on disk; they name commits of the epoch before.
    std::uint32_t checkpoint_epoch_ = 0, checkpoint_old_epoch_ = 0;
    std::uint64_t published_event_ = 0, checkpointed_event_ = 0;
    std::uint32_t noted_epoch_ = 0, asked_epoch_ = 0;
    // Packs that others took away; history begins anew in an epoch behind this one (0: no).
    std::uint64_t vanished_ = 0;
    std::uint32_t broken_epoch_ = 0;
    int stop_tries_ = 0;
    // What history has for certain; and the room for the state, should it end there.
    Tips written_;
    WholeFiles whole_;
    bool end_asked_ = false, no_room_reported_ = false;
    std::int64_t looked_for_room_us_ = 0;
    FaultMark faults_;
    std::int64_t gap_until_us_ = 0; // not to be ended before
    int since_gap_ = 0;             // checkpoints
    std::atomic<std::uint64_t> gap_since_{0};

    std::atomic<std::int64_t> behind_since_{0}, folding_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t done_ = 0, wanted_ = 0; // events published; events that sync() waits for
    std::atomic<bool> has_culprits_{false};
    std::vector<std::uint32_t> culprits_; // domids
    std::atomic<bool> stop_{false}, hurry_{false};
    std::thread thread_;
};

} // namespace xsgit::server
