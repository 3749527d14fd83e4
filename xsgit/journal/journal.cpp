// SPDX-License-Identifier: MIT
// The ring: appending, reading, freeing, repairing.
#include "xsgit/journal/journal.hpp"

#include "xsgit/base/crash_point.hpp"
#include "xsgit/journal/journal_map.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <fmt/core.h>

namespace xsgit {

namespace {

/// A record's length is at most kRecordMax, so that this is none.
constexpr std::uint32_t kWrap = ~std::uint32_t{0};

std::uint32_t length_word(const std::byte *p) noexcept
{
    return __atomic_load_n(reinterpret_cast<const std::uint32_t *>(p), __ATOMIC_ACQUIRE);
}

} // namespace

// ---- appender ---------------------------------------------------------------

bool Journal::has_room(std::size_t record_bytes) noexcept
{
    const std::uint64_t rest = capacity_ - place_;
    const std::uint64_t need = record_bytes <= rest ? record_bytes : rest + record_bytes;
    const std::uint64_t end = head_.offset + need;
    if (end - tail_seen_ <= capacity_)
        return true;
    tail_seen_ = map_->tail.load().offset;
    return end - tail_seen_ <= capacity_;
}

bool Journal::append(const Event &e) noexcept
{
    assert(!read_only_);
    const std::size_t size = record_size(e);
    assert(size <= kRecordMax);
    if (!has_room(size))
        return false;
    if (const std::uint64_t rest = capacity_ - place_; size > rest) {
        std::memcpy(data_ + place_, &kWrap, sizeof kWrap);
        head_.offset += rest;
        place_ = 0;
    }
    Event numbered = e;
    numbered.number = head_.number;
    write_record(numbered, data_ + place_);
    XSGIT_CRASH_POINT("journal.written");
    head_.offset += size;
    head_.number += 1;
    place_ = place_ + size == capacity_ ? 0 : place_ + size;
    map_->head.store(head_);
    XSGIT_CRASH_POINT("journal.appended");
    // Both sides store one word, then load the other's, sequentially consistent: either we
    // see the reader asleep, or it saw the new head before it slept.
    if (map_->reader.load(std::memory_order_seq_cst) == kReaderAsleep) [[unlikely]]
        end_sleep();
    return true;
}

// ---- reader -----------------------------------------------------------------

Journal::Position Journal::tail() const noexcept { return map_->tail.load(); }

Journal::Position Journal::head() const noexcept { return map_->head.load(); }

std::size_t Journal::bytes_used() const noexcept
{
    const std::uint64_t from = tail().offset; // first: the tail never passes the head
    return std::min(head().offset - from, capacity_);
}

void Journal::damaged(Position p, const char *what) const
{
    throw JournalDamaged(
        fmt::format("{}: {} where event {} should be, at {}", path_, what, p.number, p.offset));
}

void Journal::check_kept(Position p) const
{
    if (const Position kept = tail(); p.offset < kept.offset)
        throw JournalOvertaken(
            fmt::format("{}: event {} is gone, the oldest kept is {}", path_, p.number, kept.number));
}

/// The appender may be overwriting what is copied here. Each word is loaded with acquire, so
/// that whoever got a new one then sees the tail that had moved before it was written.
const std::byte *Journal::copy_out(const std::byte *from, std::size_t &avail) const
{
    const std::size_t length = length_word(from);
    avail = std::min(avail, length >= kRecordHeader && length <= kRecordMax ? length : std::size_t{8});
    copy_.resize(kRecordMax);
    for (std::size_t i = 0; i + 8 <= avail; i += 8) {
        const auto word =
            __atomic_load_n(reinterpret_cast<const std::uint64_t *>(from + i), __ATOMIC_ACQUIRE);
        std::memcpy(copy_.data() + i, &word, sizeof word);
    }
    return copy_.data();
}

std::optional<Event> Journal::next(Position &p) const
{
    if (p.offset >= head_seen_.offset)
        head_seen_ = head();
    if (p.offset == head_seen_.offset) {
        if (p.number != head_seen_.number)
            damaged(p, "the end of the journal, with another number,");
        return std::nullopt;
    }
    if (p.offset > head_seen_.offset || p.offset % 8 != 0)
        damaged(p, "no place of this journal");
    check_kept(p);

    std::uint64_t at = p.offset, place = at % capacity_;
    const bool wrapped = length_word(data_ + place) == kWrap;
    if (wrapped) {
        at += capacity_ - place;
        place = 0;
    }
    Event e;
    std::size_t length = 0;
    RecordStatus status = RecordStatus::Bad;
    if (at < head_seen_.offset) { // a mark always has a record behind it
        std::size_t avail = std::min(capacity_ - place, head_seen_.offset - at);
        const std::byte *in = data_ + place;
        if (read_only_) {
            in = copy_out(in, avail);
            // Before the bytes are believed: in the next round this place may lie within a
            // request, whose sender could have put the image of a good record there.
            check_kept(p);
        }
        status = read_record(in, avail, e, length);
    }
    if (status != RecordStatus::Ok) {
        check_kept(p); // read-only: the mark, or the place behind it, may be of another round
        damaged(p, status == RecordStatus::Short ? "a record that is cut off" : "no record");
    }
    if (e.number != p.number)
        damaged(p, fmt::format("event {}", e.number).c_str());
    p = {at + length, e.number + 1};
    return e;
}

void Journal::free_to(Position p) noexcept
{
    assert(!read_only_);
    assert(p.offset <= head().offset && p.offset % 8 == 0);
    if (p.offset > tail().offset)
        map_->tail.store(p);
    XSGIT_CRASH_POINT("journal.freed");
}

bool Journal::skip_to_after(std::uint64_t number)
{
    assert(!read_only_);
    const Position first = tail(), end = head();
    if (number + 1 < first.number || number + 1 > end.number)
        return false;
    if (number + 1 == end.number) {
        map_->tail.store(end);
        return true;
    }
    // Records begin at multiples of 8. Only a whole one with the right number can be meant.
    for (Position p{first.offset, number + 1}; p.offset < end.offset; p.offset += 8) {
        Position at = p;
        try {
            if (!next(at))
                return false;
            while (next(at))
                ;
        } catch (const JournalDamaged &) {
            continue;
        }
        if (at.offset != end.offset || at.number != end.number)
            continue;
        map_->tail.store(p);
        return true;
    }
    return false;
}

std::string Journal::check() const
{
    try {
        for (Position p = tail(); next(p);)
            ;
        return {};
    } catch (const JournalDamaged &e) {
        return e.what();
    }
}

std::string Journal::repair()
{
    assert(!read_only_);
    Position p = tail();
    try {
        while (next(p))
            ;
        return {};
    } catch (const JournalDamaged &e) {
        const std::uint64_t end = head().number;
        map_->head.store(p);
        head_ = head_seen_ = p;
        place_ = p.offset % capacity_;
        return fmt::format("{}; the journal now ends with event {}, it had {}", e.what(), p.number - 1,
                           end - 1);
    }
}

} // namespace xsgit
