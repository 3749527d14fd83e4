// SPDX-License-Identifier: MIT
// Checkpoints; and the gap: when history cannot be written and the journal, which keeps it meanwhile, is about to be
// full, the state alone is kept, in room that was taken before (whole_files.hpp), and service goes on. When there is
// room again an Epoch event ends the gap: one commit stands for what came in it.
#include "server/store/committer.hpp"

#include "xsgit/base/clock.hpp"
#include "xsgit/base/crash_point.hpp"
#include "xsgit/base/lack_of_room.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/core.h>
#include <sys/statvfs.h>
#include <system_error>
#include <thread>
#include <utility>

namespace xsgit::server {
namespace {

constexpr std::int64_t kLookForRoom = 500'000;  // us
constexpr std::uint64_t kObjectOfNode = 64;     // bytes of git objects, beside its own
constexpr std::uint64_t kRoomToGoOn = 1u << 20; // beside the tree
// Of the repository's limit, for each of two whole checkpoints; a state that is larger has to find room when it must.
constexpr std::uint64_t kWholeShare = 8;
constexpr std::uint64_t kWholeMost = 64u << 20; // where there is no limit
constexpr std::uint64_t kGapShare = 8;          // of the journal, between checkpoints

// History is left out when so many faults of its writer have come without progress between them.
constexpr std::uint32_t kPoisonFaults = 2;
constexpr std::int64_t kPoisonPause = 10'000'000; // us
constexpr std::uint32_t kPoisonDoublings = 9;     // to an hour and a half

} // namespace

void Committer::checkpoint()
{
    if (writer_->in_gap()) {
        if (write_whole())
            return;
        report_no_room();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return;
    }
    std::size_t bytes = 0;
    try {
        unsent_.trim(sent_);
        const std::string data = write_checkpoint(state_, *writer_, unsent_);
        bytes = data.size();
        replace_checkpoint(paths_.checkpoint, data);
    } catch (const std::system_error &e) {
        cannot_write(e.what(), is_lack_of_room(e));
        give_up(); // packs may have had room
        return;
    }
    note_checkpoint();
    // Of the two that were written in the gap the journal is freed behind the second here.
    if (++since_gap_ >= 2)
        whole_.clear();
    reserve_whole(bytes);
}

/// `checkpoint`: bytes of the last one.
void Committer::reserve_whole(std::size_t checkpoint)
{
    const std::uint64_t limit = packs_.limit();
    const std::uint64_t most = (limit == 0 ? kWholeMost : limit / kWholeShare) / 5 * 4; // some more is taken
    const std::uint64_t bytes = std::min(checkpoint + state_.size().bytes + bases_bytes(state_, most), most);
    whole_.reserve(bytes);
    whole_.shrink(bytes);
    // Two checkpoints are kept while a third is written: history makes room for them.
    packs_.set_reserved(3 * checkpoint + whole_.room());
}

void Committer::note_checkpoint()
{
    checkpoint_old_epoch_ = checkpoint_epoch_;
    checkpoint_epoch_ = state_.epoch();
    last_checkpoint_us_ = monotonic_us();
    checkpointed_event_ = state_.event_number();
    // The older of the two kept checkpoints must still find its tail.
    checkpoint_old_at_ = checkpoint_at_;
    checkpoint_at_ = at_;
    journal_.free_to(checkpoint_old_at_);
}

void Committer::report_no_room()
{
    if (!std::exchange(no_room_reported_, true))
        report_("there is no room to keep the state without its history, either: writers wait. Make some on "
                "the file system of " +
                paths_.repo);
}

/// A checkpoint without git. False: there is no room for it.
bool Committer::write_whole()
{
    unsent_.trim(sent_);
    // Folded again, this gap may have ended long since; it is to end the same way.
    const Tips &tips = writer_->in_gap() ? writer_->tips() : written_;
    const std::string data = write_whole_checkpoint(state_, tips, unsent_);
    const std::uint64_t event = state_.event_number();
    if (!whole_.write(event, data) && !(whole_.reserve(data.size()) && whole_.write(event, data)))
        return false;
    no_room_reported_ = false;
    note_checkpoint();
    return true;
}

/// When nothing else is left. False: it is not so far, or there is no room for the state.
bool Committer::give_up()
{
    return journal_.bytes_used() > journal_.capacity() / 8 * 3 &&
           begin_gap("it cannot be written, and the journal has no room to keep it. The store goes on; when "
                     "there is room on the file system of " +
                     paths_.repo + ", one commit will stand for the gap");
}

/// False: there is no room for the state.
bool Committer::begin_gap(const std::string &why)
{
    if (!write_whole()) {
        report_no_room();
        return false;
    }
    XSGIT_CRASH_POINT("gap.begun");
    writer_->give_up(written_);
    gap_since_ = written_.seq + 1;
    end_asked_ = false;
    stuck_ = false;
    report_(fmt::format("HISTORY HAS A GAP behind commit {}: {}", written_.seq, why));
    return true;
}

/// What makes this thread fail would do so again and again. Without history it is folded as the server folds it; and
/// should the tree as a whole be the reason, it is tried ever more seldom.
void Committer::leave_out_what_failed()
{
    const std::uint32_t faults = faults_.faults();
    if (faults < kPoisonFaults)
        return;
    const std::int64_t pause = kPoisonPause << std::min(faults - kPoisonFaults, kPoisonDoublings);
    gap_until_us_ = monotonic_us() + pause;
    if (writer_->in_gap()) {
        if (written_.seq > writer_->tips().seq) { // that gap had ended, and history gone on
            writer_->give_up(written_);
            gap_since_ = written_.seq + 1;
        }
        return;
    }
    begin_gap(fmt::format(
        "the thread that writes it has died {} times (signal {}) without getting on. The store goes on; "
        "in {} s one commit will stand for the gap. Please report this, with a copy of {}",
        faults, faults_.signal(), pause / 1'000'000, paths_.repo));
}

/// What publish() does in a gap.
void Committer::pass_over()
{
    note_published();
    if (last_publish_us_ - last_checkpoint_us_ >= kCheckpointEvery ||
        at_.offset - checkpoint_at_.offset >= journal_.capacity() / kGapShare)
        checkpoint();
}

/// The gap may be over.
void Committer::look_for_room()
{
    if (!writer_->in_gap() || monotonic_us() - looked_for_room_us_ < kLookForRoom)
        return;
    looked_for_room_us_ = monotonic_us();
    if (looked_for_room_us_ < gap_until_us_)
        return;
    if (end_asked_) {
        if (wanted == Wanted::EndOfGap)
            wake_(); // the journal had no room for it
        return;
    }
    const State::Size size = state_.size();
    struct statvfs v = {};
    if (::statvfs(paths_.repo.c_str(), &v) != 0 || v.f_favail < 16 ||
        std::uint64_t{v.f_bavail} * v.f_frsize < kRoomToGoOn + 2 * (size.bytes + kObjectOfNode * size.nodes))
        return;
    end_asked_ = true;
    want(Wanted::EndOfGap);
}

} // namespace xsgit::server
