// SPDX-License-Identifier: MIT
// How the committer finds room for packs: it waits for it, and drops old epochs.
#include "server/store/committer.hpp"

#include "xsgit/base/crash_point.hpp"
#include "xsgit/base/lack_of_room.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sys/statvfs.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace xsgit::server {
namespace {

constexpr int kStopTries = 50; // for room, of 100 ms each, when stopping

} // namespace

/// libgit2 does not say why it cannot write.
bool Committer::is_full() const noexcept
{
    constexpr std::uint64_t kLittle = 128 << 10;
    struct statvfs v = {};
    return ::statvfs(paths_.repo.c_str(), &v) == 0 &&
           (std::uint64_t{v.f_bavail} * v.f_frsize < kLittle || v.f_favail == 0);
}

/// Writes the open pack, waiting for room if there is none: the journal keeps what follows. False: it is given up,
/// and history with it.
bool Committer::flush_pack()
{
    if (writer_->pack().empty())
        return true;
    const std::uint32_t epoch = writer_->epoch();
    const FinishedPack pack = writer_->pack().finish();
    for (;;) {
        try {
            packs_.add(pack, epoch);
            XSGIT_CRASH_POINT("publish.packed");
            keep_reserve(paths_);
            if (writer_->tips().seq >= written_.seq)
                written_ = writer_->tips();
            return true;
        } catch (const std::system_error &e) {
            cannot_write(e.what(), is_lack_of_room(e));
        }
        if (give_up())
            return false;
    }
}

/// Tried again and again; meanwhile writers are slowed. `full`: the oldest history makes room.
void Committer::cannot_write(const std::string &what, bool full)
{
    if (!stuck_.exchange(true))
        report_(
            "history cannot be written: " + what + "; nothing is lost, writers are slowed until it can" +
            (full ? ". There is no room: make some on the file system of " + paths_.repo : std::string()));
    if (full) {
        try {
            ::unlink(paths_.reserve.c_str()); // what the next lines write has room then
            if (!drop_oldest_epoch() && std::exchange(asked_epoch_, writer_->epoch()) != writer_->epoch())
                want(Wanted::Epoch); // so that there is something to drop soon
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
    const std::uint32_t epoch = writer_->epoch();
    EpochBoundary b{s.seq, {s.main}};
    for (const Oid &id : {s.side, s.conflicts})
        if (!id.is_null())
            b.commits.push_back(id);
    const bool anew = broken_epoch_ != 0 && epoch > broken_epoch_;
    try {
        epochs_->set(epoch, b, anew ? epoch : packs_.oldest_epoch());
        XSGIT_CRASH_POINT("epoch.noted");
        if (anew)
            begin_history_at(b);
    } catch (const std::system_error &e) {
        return cannot_write(e.what(), is_lack_of_room(e)); // and again with the next publication
    }
    noted_epoch_ = epoch;
    if (anew) {
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
    if (!writer_->in_gap()) // what ends it does the same
        want(Wanted::Epoch);
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
    // Packs of a dropped epoch are there for a while, and live again for who starts then. They must not lead shallow back
    // to where others are gone.
    epochs_->forget_before(next->first);
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
            return cannot_write(e.what(), is_lack_of_room(e));
        }
    }
}

} // namespace xsgit::server
