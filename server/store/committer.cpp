// SPDX-License-Identifier: MIT
#include "server/store/committer.hpp"

#include "server/store/named_thread.hpp"
#include "server/store/shortage.hpp"
#include "xsgit/base/clock.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/core.h>
#include <new>
#include <thread>
#include <utility>

namespace xsgit::server {
namespace {

constexpr std::int64_t kPublishSpacing = 20'000;     // us, when the journal is drained
constexpr std::int64_t kPublishAtLeast = 50'000;     // us, under load
constexpr std::int64_t kFoldSlice = 5'000;           // us between looks at the clock's deadlines
constexpr std::uint64_t kCheckpointBytes = 4u << 20; // of journal; a quarter of a small one
constexpr std::size_t kPackBytes = 32u << 20;        // published early: memory, and packs that merge well
constexpr std::size_t kPackShare = 16;               // of the repository's limit, at most
constexpr std::size_t kCulprits = 1024;              // that nobody has asked for yet
constexpr std::size_t kTrimBytes = 8u << 20;         // unsent outputs kept between publishes

bool met_shortage(const std::exception &e)
{
    const auto *const system = dynamic_cast<const std::system_error *>(&e);
    return dynamic_cast<const std::bad_alloc *>(&e) || (system && is_shortage(system->code())) ||
           !has_spare_descriptors(1);
}

} // namespace

Committer::Committer(const StatePaths &paths, Journal &journal, PackStore &packs, CommitterStart start,
                     SentUpTo sent, Report report, std::function<void()> wake)
    : paths_(paths), journal_(journal), packs_(packs), start_(std::move(start)), sent_(std::move(sent)),
      report_(std::move(report)), wake_(std::move(wake)), state_(this),
      pack_bytes_(packs.limit() == 0 ? kPackBytes
                                     : std::min<std::uint64_t>(kPackBytes, packs.limit() / kPackShare)),
      whole_(paths.whole_1, paths.whole_2), faults_(paths.faults)
{
    gap_since_ = start_.gap_since;
    whole_.reserve(0); // here, before anybody is served and makes the file system full
    thread_ = start_thread("committer", [this] {
        faults_.watch_this_thread();
        try {
            run();
        } catch (const std::exception &e) {
            if (met_shortage(e)) // no fault of what was to be written
                faults_.end_watch();
            report_(std::string("history writer: ") + e.what() + (stop_ ? "" : "; starting again"));
            // Nothing is lost: the journal has it all. The keeper starts us again.
            if (!stop_)
                std::abort();
        }
        faults_.end_watch();
    });
}

Committer::~Committer()
{
    stop_ = true;
    journal_.wake();
    thread_.join();
}

bool Committer::sync_within(std::uint64_t number, std::int64_t patience_ms)
{
    if (published(number))
        return true;
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(patience_ms), [&] { return done_ >= number; });
}

bool Committer::published(std::uint64_t number)
{
    const std::lock_guard lock(mutex_);
    if (done_ >= number)
        return true;
    wanted_ = std::max(wanted_, number);
    hurry_ = true;
    journal_.wake();
    return false;
}

void Committer::load()
{
    repo_ = Repository::open(paths_.repo);
    epochs_ = std::make_unique<Epochs>(paths_.epochs);
    at_ = checkpoint_at_ = checkpoint_old_at_ = start_.from;
    if (start_.checkpoint.empty()) {
        writer_ = continue_history({}, state_, repo_.get());
    } else {
        LoadedCheckpoint c = load_checkpoint(start_.checkpoint, *repo_, this);
        state_ = std::move(c.state);
        unsent_ = std::move(c.unsent);
        writer_ = continue_history(c.head, state_, repo_.get());
        start_.checkpoint.clear();
        checkpoint_epoch_ = state_.epoch(); // of the other one nothing is known: as if of the first epoch
    }
    checkpointed_event_ = published_event_ = state_.event_number();
    refs_ = std::make_unique<HistoryRefs>(*repo_, paths_.repo, writer_->tips(), report_);
    // Refs may be further than the checkpoint: should history have to be given up before we are there, it is from
    // there on.
    written_ = refs_->on_disk();
    if (written_.seq > start_.seq)
        refs_->rescue_main(start_.seq);
    if (written_.seq < writer_->tips().seq || written_.seq > start_.seq)
        written_ = writer_->tips();
    if (writer_->in_gap() && writer_->tips().seq != 0 && !repo_->commit(writer_->tips().main))
        broken_epoch_ = writer_->epoch(); // what the gap's end stands on is gone
}

void Committer::run()
{
    load();
    leave_out_what_failed();
    for (;;) {
        const bool drained = !fold_some();
        const std::int64_t since = monotonic_us() - last_publish_us_;
        const bool dirty = state_.event_number() != published_event_;
        const bool caught_up = state_.event_number() >= start_.first_publish;
        if (dirty && caught_up &&
            (hurry_ || stop_ || since >= kPublishAtLeast || (drained && since >= kPublishSpacing) ||
             writer_->pack().bytes() > pack_bytes_))
            publish();
        look_for_loss();
        look_for_room();
        if (drained) {
            if (stop_)
                break;
            pause();
        }
    }
    if (state_.event_number() != checkpointed_event_)
        checkpoint();
}

/// Folds for a slice of time. False when nothing is left.
bool Committer::fold_some()
{
    const std::int64_t until = monotonic_us() + kFoldSlice;
    for (;;) {
        for (int i = 0; i < 64; ++i) {
            Journal::Position behind = at_;
            const auto e = journal_.next(behind);
            if (!e) {
                folding_.store(0, std::memory_order_relaxed);
                return false;
            }
            // The old epoch's objects first, while we stand before the event: should they have to be given up.
            if (e->kind == EventKind::Epoch && !writer_->in_gap())
                flush_pack();
            at_ = behind;
            // What git has seen before a restart holds nobody up while it is folded again.
            if (e->number >= start_.first_publish) {
                if (i == 0)
                    folding_.store(e->mono_us, std::memory_order_relaxed);
                if (behind_since_.load(std::memory_order_relaxed) == 0)
                    behind_since_.store(e->mono_us, std::memory_order_relaxed);
            }
            outputs_.clear();
            state_.step(*e, outputs_);
            if (outputs_.hash() != e->outputs_hash && !hash_reported_) {
                hash_reported_ = true;
                report_("event " + std::to_string(e->number) +
                        " answers otherwise than when it was executed: another version of xenstored wrote "
                        "the journal");
            }
            if (e->kind == EventKind::Close)
                unsent_.forget(e->conn);
            unsent_.add(e->number, outputs_, sent_);
            if (writer_->pack().bytes() > pack_bytes_)
                return true;
        }
        if (unsent_.bytes() > kTrimBytes)
            unsent_.trim(sent_);
        if (monotonic_us() >= until)
            return true;
    }
}

/// Nothing to fold: wait for an event, or for the time to publish what is folded.
void Committer::pause()
{
    if (state_.event_number() == published_event_) {
        // The journal is freed behind the older of two checkpoints. Were it full now, no event could come that
        // makes another one due: the daemon would wait for room for ever.
        if (journal_.bytes_used() > journal_.capacity() / 2 && checkpoint_old_at_.offset < at_.offset)
            return checkpoint();
        const bool checkpoint_due = state_.event_number() != checkpointed_event_;
        journal_.wait(at_, checkpoint_due ? 200'000 : 1'000'000);
        if (checkpoint_due && monotonic_us() - last_checkpoint_us_ >= kCheckpointEvery &&
            !(journal_.head().offset > at_.offset))
            checkpoint();
        return;
    }
    const std::int64_t due = last_publish_us_ + kPublishSpacing - monotonic_us();
    if (due > 0 && !hurry_ && !stop_)
        std::this_thread::sleep_for(std::chrono::microseconds(std::min<std::int64_t>(due, kFoldSlice)));
}

void Committer::on_change(const Change &c) { writer_->on_change(c); }
void Committer::on_conflict(const Conflict &c)
{
    writer_->on_conflict(c);
    // Between guests it would be a weapon: who may read what another one writes could make it stand still.
    if (c.actor.domid != 0 || c.culprit_domid == 0)
        return;
    const std::lock_guard lock(mutex_);
    if (culprits_.size() < kCulprits)
        culprits_.push_back(c.culprit_domid);
    has_culprits_.store(true, std::memory_order_relaxed);
}

std::vector<std::uint32_t> Committer::take_culprits()
{
    if (!has_culprits_.load(std::memory_order_relaxed))
        return {};
    const std::lock_guard lock(mutex_);
    has_culprits_.store(false, std::memory_order_relaxed);
    return std::exchange(culprits_, {});
}

/// The keyframe opens the new one.
void Committer::on_epoch(const NewEpoch &e, const Tree &head)
{
    XSGIT_CRASH_POINT("epoch.flushed");
    note_epoch_start();
    packs_.begin_epoch(e.number);
    const bool gap = writer_->in_gap();
    const std::uint64_t last = writer_->tips().seq;
    NewEpoch now = e;
    if (gap && monotonic_us() < gap_until_us_) // it was to end here when the last try failed
        now.ends_gap = false;
    writer_->on_epoch(now, head);
    if (e.ends_gap)
        end_asked_ = false;
    if (gap && !writer_->in_gap()) {
        gap_since_ = 0;
        since_gap_ = 0;
        report_(
            fmt::format("history goes on; a commit stands for those from {} to {}, which it does not have",
                        last + 1, e.seq));
    }
    XSGIT_CRASH_POINT("epoch.begun");
}

void Committer::want(Wanted w)
{
    wanted = w;
    wake_();
}

void Committer::publish()
{
    if (writer_->in_gap())
        return pass_over();
    if (!flush_pack())
        return;
    try {
        refs_->move_to(writer_->tips());
    } catch (const GitError &e) {
        refs_->clear_way();
        cannot_write(e.what(), is_full()); // and again: nothing counts as published yet
        give_up();
        return;
    }
    if (stuck_.exchange(false))
        report_("history is being written again");
    note_epoch_start();
    note_published();
    faults_.progress();
    if (last_publish_us_ - last_checkpoint_us_ >= kCheckpointEvery ||
        at_.offset - checkpoint_at_.offset >=
            std::min<std::uint64_t>(kCheckpointBytes, journal_.capacity() / 4))
        checkpoint();
    if (packs_.wants_epoch() && std::exchange(asked_epoch_, writer_->epoch()) != writer_->epoch())
        want(Wanted::Epoch); // once: the answer takes a while to come through the journal
    drop_old_epochs();
}

void Committer::note_published()
{
    published_event_ = state_.event_number();
    behind_since_ = 0;
    last_publish_us_ = monotonic_us();
    unsent_.trim(sent_);
    const std::lock_guard lock(mutex_);
    done_ = published_event_;
    if (done_ >= wanted_)
        hurry_ = false;
    changed_.notify_all();
}

} // namespace xsgit::server
