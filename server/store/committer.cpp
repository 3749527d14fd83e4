// SPDX-License-Identifier: MIT
#include "server/store/committer.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <sys/statvfs.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace xsgit::server {
namespace {

constexpr std::int64_t kPublishSpacing = 20'000;     // us, when the journal is drained
constexpr std::int64_t kPublishAtLeast = 50'000;     // us, under load
constexpr std::int64_t kFoldSlice = 5'000;           // us between looks at the clock's deadlines
constexpr std::int64_t kCheckpointEvery = 1'000'000; // us
constexpr std::uint64_t kCheckpointBytes = 4u << 20; // of journal; a quarter of a small one
constexpr std::size_t kPackBytes = 32u << 20;        // published early: memory, and packs that merge well
constexpr std::size_t kPackShare = 16;               // of the repository's limit, at most
constexpr int kStopTries = 50;                       // for room, of 100 ms each, when stopping
constexpr std::size_t kCulprits = 1024;              // that nobody has asked for yet
constexpr std::size_t kTrimBytes = 8u << 20;         // unsent outputs kept between publishes

std::int64_t now_us()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

bool no_room(const std::system_error &e) noexcept
{
    const int code = e.code().value();
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

/// libgit2 does not say why it cannot write.
bool is_full(const std::string &path) noexcept
{
    constexpr std::uint64_t kLittle = 128 << 10;
    struct statvfs v = {};
    return ::statvfs(path.c_str(), &v) == 0 &&
           (std::uint64_t{v.f_bavail} * v.f_frsize < kLittle || v.f_favail == 0);
}

} // namespace

Committer::Committer(const StatePaths &paths, Journal &journal, PackStore &packs, CommitterStart start,
                     SentUpTo sent, Report report)
    : paths_(paths), journal_(journal), packs_(packs), start_(std::move(start)), sent_(std::move(sent)),
      report_(std::move(report)), state_(this),
      pack_bytes_(packs.limit() == 0 ? kPackBytes
                                     : std::min<std::uint64_t>(kPackBytes, packs.limit() / kPackShare))
{
    thread_ = std::thread([this] {
        try {
            run();
        } catch (const std::exception &e) {
            if (stop_)
                return report_(std::string("history writer: ") + e.what());
            // Nothing is lost: the journal has it all. The keeper starts us again.
            report_(std::string("history writer: ") + e.what() + "; starting again");
            std::abort();
        }
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
        writer_ = std::make_unique<HistoryWriter>(Tips{}, Tree(), 1, EpochStart{}, repo_.get());
    } else {
        LoadedCheckpoint c = load_checkpoint(start_.checkpoint, *repo_, this);
        state_ = std::move(c.state);
        unsent_ = std::move(c.unsent);
        writer_ = std::make_unique<HistoryWriter>(c.head.tips, state_.tree(), state_.epoch(), c.head.start,
                                                  repo_.get());
        for (const auto &[seq, id] : c.head.bases)
            writer_->remember(seq, id);
        start_.checkpoint.clear();
        checkpoint_epoch_ = state_.epoch(); // of the other one nothing is known: as if of the first epoch
    }
    checkpointed_event_ = published_event_ = state_.event_number();
    refs_ = std::make_unique<HistoryRefs>(*repo_, paths_.repo, writer_->tips(), report_);
}

void Committer::run()
{
    load();
    for (;;) {
        const bool drained = !fold_some();
        const std::int64_t since = now_us() - last_publish_us_;
        const bool dirty = state_.event_number() != published_event_;
        const bool caught_up = state_.event_number() >= start_.first_publish;
        if (dirty && caught_up &&
            (hurry_ || stop_ || since >= kPublishAtLeast || (drained && since >= kPublishSpacing) ||
             writer_->pack().bytes() > pack_bytes_))
            publish();
        look_for_loss();
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
    const std::int64_t until = now_us() + kFoldSlice;
    for (;;) {
        for (int i = 0; i < 64; ++i) {
            const auto e = journal_.next(at_);
            if (!e) {
                folding_.store(0, std::memory_order_relaxed);
                return false;
            }
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
        if (now_us() >= until)
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
        if (checkpoint_due && now_us() - last_checkpoint_us_ >= kCheckpointEvery &&
            !(journal_.head().offset > at_.offset))
            checkpoint();
        return;
    }
    const std::int64_t due = last_publish_us_ + kPublishSpacing - now_us();
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

/// The old epoch's objects first; then the keyframe opens the new one.
void Committer::on_epoch(std::uint32_t epoch, const Tree &head)
{
    flush_pack();
    XSGIT_CRASH_POINT("epoch.flushed");
    note_epoch_start();
    packs_.begin_epoch(epoch);
    writer_->on_epoch(epoch, head);
    XSGIT_CRASH_POINT("epoch.begun");
}

void Committer::publish()
{
    flush_pack();
    try {
        refs_->move_to(writer_->tips());
    } catch (const GitError &e) {
        refs_->clear_way();
        return cannot_write(e.what(), is_full(paths_.repo)); // and again: nothing counts as published yet
    }
    if (stuck_.exchange(false))
        report_("history is being written again");
    note_epoch_start();
    published_event_ = state_.event_number();
    behind_since_ = 0;
    last_publish_us_ = now_us();
    unsent_.trim(sent_);
    if (last_publish_us_ - last_checkpoint_us_ >= kCheckpointEvery ||
        at_.offset - checkpoint_at_.offset >=
            std::min<std::uint64_t>(kCheckpointBytes, journal_.capacity() / 4))
        checkpoint();
    if (packs_.wants_epoch() && std::exchange(asked_epoch_, writer_->epoch()) != writer_->epoch())
        epoch_wanted = true; // once: the answer takes a while to come through the journal
    drop_old_epochs();
    const std::lock_guard lock(mutex_);
    done_ = published_event_;
    if (done_ >= wanted_)
        hurry_ = false;
    changed_.notify_all();
}

/// Writes the open pack, waiting for room if there is none: the journal keeps what follows.
void Committer::flush_pack()
{
    if (writer_->pack().empty())
        return;
    const std::uint32_t epoch = writer_->epoch();
    const FinishedPack pack = writer_->pack().finish();
    for (;;) {
        try {
            packs_.add(pack, epoch);
            XSGIT_CRASH_POINT("publish.packed");
            keep_reserve(paths_);
            return;
        } catch (const std::system_error &e) {
            cannot_write(e.what(), no_room(e));
        }
    }
}

/// Tried again and again; meanwhile writers wait. `full`: the oldest history makes room.
void Committer::cannot_write(const std::string &what, bool full)
{
    if (!stuck_.exchange(true))
        report_(
            "history cannot be written: " + what + "; nothing is lost, writers wait until it can" +
            (full ? ". There is no room: make some on the file system of " + paths_.repo : std::string()));
    if (full) {
        try {
            ::unlink(paths_.reserve.c_str()); // what the next lines write has room then
            if (!drop_oldest_epoch())
                epoch_wanted = true; // so that there is something to drop soon
        } catch (const std::system_error &) {
            // not even that; room must come from elsewhere
        }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (stop_ && ++stop_tries_ > kStopTries)
        throw std::runtime_error(
            what + ", and the daemon was told to stop: what is not in history yet is in the journal");
}

void Committer::note_epoch_start()
{
    const EpochStart &s = writer_->epoch_start();
    if (s.main.is_null() || noted_epoch_ == writer_->epoch())
        return;
    noted_epoch_ = writer_->epoch();
    EpochBoundary b{s.seq, {s.main}};
    for (const Oid &id : {s.side, s.conflicts})
        if (!id.is_null())
            b.commits.push_back(id);
    const bool anew = broken_epoch_ != 0 && noted_epoch_ > broken_epoch_;
    epochs_->set(noted_epoch_, b, anew ? noted_epoch_ : packs_.oldest_epoch());
    XSGIT_CRASH_POINT("epoch.noted");
    if (anew) {
        begin_history_at(b);
        broken_epoch_ = 0;
        last_checkpoint_us_ = 0; // the ones there are cannot be loaded
    }
}

/// What somebody took away may be needed to recover the state, and is in memory: an epoch begins with all of it.
void Committer::look_for_loss()
{
    const std::uint64_t now = packs_.vanished();
    if (now == vanished_)
        return;
    vanished_ = now;
    broken_epoch_ = asked_epoch_ = writer_->epoch();
    epoch_wanted = true;
    report_("packs of history were removed from " + paths_.repo +
            "/objects/pack, not by this daemon: the store is written anew; what is left of history before "
            "that is no "
            "longer shown");
}

/// What lies before it is no longer shown, and will not be there.
void Committer::begin_history_at(const EpochBoundary &b)
{
    std::string shallow;
    for (const Oid &id : b.commits)
        shallow += id.hex() + "\n";
    XSGIT_CRASH_POINT("drop.begun");
    replace_file(paths_.repo + "/shallow", shallow);
    XSGIT_CRASH_POINT("drop.shallow");
    refs_->drop_before(b.seq);
}

/// What both checkpoints can do without: they name commits of their own epoch and of the one before, where
/// transactions may have started.
bool Committer::drop_oldest_epoch()
{
    const PackStore::Stats s = packs_.stats();
    const auto *next = epochs_->find_from(s.oldest_epoch + 1);
    if (s.oldest_epoch + 1 >= std::min(checkpoint_epoch_, checkpoint_old_epoch_) || !next ||
        next->first >= s.current_epoch)
        return false;
    begin_history_at(next->second);
    packs_.drop_epoch(s.oldest_epoch);
    XSGIT_CRASH_POINT("drop.done");
    return true;
}

/// Everything that is folded is published.
void Committer::drop_old_epochs()
{
    while (packs_.wants_drop()) {
        const PackStore::Stats s = packs_.stats();
        if (s.oldest_epoch + 1 >= s.current_epoch)
            return;
        // Old checkpoints would be worth nothing without that epoch; new ones do not need it.
        if (s.oldest_epoch + 1 >= std::min(checkpoint_epoch_, checkpoint_old_epoch_)) {
            checkpoint();
            checkpoint();
        }
        try {
            if (!drop_oldest_epoch())
                return;
        } catch (const std::system_error &e) {
            return cannot_write(e.what(), no_room(e));
        }
    }
}

void Committer::checkpoint()
{
    try {
        unsent_.trim(sent_);
        const std::string data = write_checkpoint(state_, *writer_, unsent_);
        replace_checkpoint(paths_.checkpoint, data);
        // Two are kept while a third is written: history makes room for them.
        packs_.set_reserved(3 * data.size());
    } catch (const std::system_error &e) {
        return cannot_write(e.what(), no_room(e));
    }
    checkpoint_old_epoch_ = checkpoint_epoch_;
    checkpoint_epoch_ = state_.epoch();
    last_checkpoint_us_ = now_us();
    checkpointed_event_ = state_.event_number();
    // The older of the two kept checkpoints must still find its tail.
    checkpoint_old_at_ = checkpoint_at_;
    checkpoint_at_ = at_;
    journal_.free_to(checkpoint_old_at_);
}

} // namespace xsgit::server
