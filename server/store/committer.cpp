// SPDX-License-Identifier: MIT
#include "server/store/committer.hpp"

#include "xsgit/git/commit_message.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <sys/stat.h>
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
constexpr std::size_t kLookBack = 100'000;           // commits of one publication, at most
constexpr int kStopTries = 50;                       // for room, of 100 ms each, when stopping
constexpr std::int64_t kStaleLock = 2;               // s; ours are held for microseconds
constexpr std::size_t kTrimBytes = 8u << 20;         // unsent outputs kept between publishes

constexpr const char *kMain = "refs/heads/main";
constexpr const char *kConflicts = "refs/heads/conflicts";
constexpr const char *kHead = "refs/xsgit/head";

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
      pack_bytes_(std::min<std::uint64_t>(kPackBytes, packs.limit() / kPackShare))
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
    published_ = writer_->tips();
    if (const auto head = read_ref(kHead))
        published_.main = last_seen_main(*head);
    if (const auto conflicts = read_ref(kConflicts))
        published_.conflicts = *conflicts;
}

/// A ref; one that holds no commit id is removed, since it would be in the way of the next write.
std::optional<Oid> Committer::read_ref(const std::string &ref) const
{
    try {
        return repo_->read_ref(ref);
    } catch (const GitError &e) {
        report_(ref + " cannot be read and is written anew: " + e.what());
        ::unlink((paths_.repo + "/" + ref).c_str());
        return std::nullopt;
    }
}

/// Where main stood when we died: head moves first, so main may lie behind it. A main that is
/// no ancestor of head was moved by somebody, and counts as standing at head.
Oid Committer::last_seen_main(const Oid &head) const
{
    const auto main = read_ref(kMain);
    Oid at = head;
    for (std::size_t i = 0; main && i < kLookBack; ++i) {
        if (at == *main)
            return at;
        const auto commit = repo_->commit(at);
        if (!commit || commit->parents.empty())
            break;
        at = commit->parents.front();
    }
    return head;
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
void Committer::on_conflict(const Conflict &c) { writer_->on_conflict(c); }

/// The old epoch's objects first; then the keyframe opens the new one.
void Committer::on_epoch(std::uint32_t epoch, const Tree &head)
{
    flush_pack();
    note_epoch_start();
    packs_.begin_epoch(epoch);
    writer_->on_epoch(epoch, head);
}

void Committer::publish()
{
    flush_pack();
    try {
        move_refs();
    } catch (const GitError &e) {
        clear_way();
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

/// A git that was killed while it moved one of our refs leaves a lock that nobody removes.
/// What can stand in the way of refs: locks of a git that has died, and directories of somebody's refs.
void Committer::clear_way()
{
    for (const char *ref : {kMain, kConflicts, kHead}) {
        const std::string path = paths_.repo + "/" + ref, lock = path + ".lock";
        struct stat st {};
        const std::int64_t now = ::time(nullptr);
        // A time to come is no time: somebody's clock was wrong.
        if (::lstat(lock.c_str(), &st) == 0 && (st.st_mtime > now || now - st.st_mtime >= kStaleLock) &&
            (::unlink(lock.c_str()) == 0 || ::rmdir(lock.c_str()) == 0))
            report_(lock + " was left by a git that has died: removed");
        if (::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || ::rmdir(path.c_str()) == 0)
            continue;
        const std::string aside =
            paths_.repo + "/refs/heads/aside-" + std::to_string(now) + "-" + path.substr(path.rfind('/') + 1);
        if (::rename(path.c_str(), aside.c_str()) == 0)
            report_(path + " has to be a ref of ours: the refs in it are now in " + aside);
    }
}

void Committer::put_back(const std::string &ref, const Oid &ours, const Oid &last)
{
    std::optional<Oid> there;
    try {
        there = repo_->read_ref(ref);
    } catch (const GitError &e) {
        report_(ref + " cannot be read: put back (" + e.what() + ")");
        ::unlink((paths_.repo + "/" + ref).c_str());
    }
    if (there && *there != last && *there != ours && !last.is_null()) {
        report_(ref + " was moved by somebody to " + there->hex() + ": put back; " + rescue(ref, *there));
    }
    if (!there || *there != ours)
        repo_->write_ref(ref, ours);
}

/// In the order that keeps everything reachable at each step; main last.
/// Keeps what somebody has moved `ref` to. Says how.
std::string Committer::rescue(const std::string &ref, const Oid &theirs)
{
    if (!repo_->exists(theirs))
        return "theirs does not exist";
    const std::string name = ref.substr(ref.rfind('/') + 1) + "-" + theirs.hex().substr(0, 12);
    // Somebody may have a branch "rescued".
    for (const char *where : {"refs/heads/rescued/", "refs/xsgit/rescued/"})
        try {
            repo_->write_ref(where + name, theirs);
            return "theirs is " + std::string(where) + name;
        } catch (const GitError &) {
            continue;
        }
    return "theirs cannot be kept as a branch, only by its id";
}

void Committer::move_refs()
{
    const Tips &t = writer_->tips();
    if (!t.main.is_null() && t.main != published_.main)
        repo_->write_ref(kHead, t.main);
    if (!t.conflicts.is_null() && t.conflicts != published_.conflicts)
        repo_->write_ref(kConflicts, t.conflicts);
    if (!t.main.is_null())
        put_back(kMain, t.main, published_.main);
    published_ = t;
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
    epochs_->set(noted_epoch_, std::move(b), packs_.oldest_epoch());
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
    std::string shallow;
    for (const Oid &id : next->second.commits)
        shallow += id.hex() + "\n";
    replace_file(paths_.repo + "/shallow", shallow);
    drop_refs_before(next->second.seq);
    packs_.drop_epoch(s.oldest_epoch);
    return true;
}

/// Refs of others that lead into history which is about to go: with them nobody could clone what stays.
void Committer::drop_refs_before(std::uint64_t seq)
{
    constexpr int kFar = 1000; // commits of somebody's own between the ref and ours
    try {
        std::vector<std::string> theirs = repo_->ref_names();
        std::erase_if(theirs,
                      [](const std::string &n) { return n == kMain || n == kConflicts || n == kHead; });
        if (theirs.empty())
            return;
        // Reading maps packs, and lets go of them only with the repository.
        const std::unique_ptr<Repository> repo = Repository::open(paths_.repo);
        const auto leads_there = [&](std::optional<Oid> id) {
            for (int i = 0; id && i < kFar; ++i) {
                const auto c = repo->commit(*id);
                if (!c)
                    return true;
                if (const std::uint64_t at = parse_trailers(c->message).seq; at != 0)
                    return at < seq;
                if (c->parents.empty())
                    return false;
                id = c->parents.front();
            }
            return !id;
        };
        for (const std::string &name : theirs) {
            const auto id = repo->commit_of(name);
            if (!leads_there(id))
                continue;
            repo_->delete_ref(name);
            report_(name + " led to history that is dropped now: deleted" +
                    (id ? "; it was " + id->hex() : ""));
        }
    } catch (const GitError &e) {
        report_(std::string("refs that lead to dropped history: ") + e.what());
    }
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
