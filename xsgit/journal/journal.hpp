// SPDX-License-Identifier: MIT
// The journal: a ring file, mapped, that holds the events in order until both the
// checkpoint and the published history have passed them. It is also the queue from
// the server thread (one appender) to the committer (one reader, which frees).
//
// File: one header page, then `capacity` bytes of records. A record never wraps: where
// the next one does not fit before the end, a word of ~0 marks the rest as unused.
// Positions are 64-bit and only grow; place in the file = position % capacity.
// `head` is stored after the record is complete, so a killed appender leaves either the
// whole record or nothing; the checksum is for damage from elsewhere.
// Header page (journal_map.hpp): magic "xsgitjnl", versions, capacity, their checksum, then,
// each in a cache line of its own, head, tail (PositionCell: position and event number change
// together) and the reader's futex word.
#pragma once

#include "xsgit/journal/event.hpp"
#include "xsgit/journal/position.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace xsgit {

struct JournalDamaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The position asked for is no longer in the journal: a tool was slower than the daemon.
/// Nothing is damaged; start again at tail().
struct JournalOvertaken : JournalDamaged {
    using JournalDamaged::JournalDamaged;
};

class Journal {
public:
    using Position = JournalPosition;

    /// Makes `path` (0600), allocated to its full size so that later stores cannot meet a
    /// full file system. `capacity` is a multiple of 4096, at least 1 MiB. The first event
    /// appended stands at `start`: not the default where a journal that was set aside is to be
    /// continued. The file appears complete or not at all; one that exists is never replaced
    /// (EEXIST). Touches every page: about 0.3 ms per MiB. Throws std::system_error.
    static std::unique_ptr<Journal> create(const std::string &path, std::size_t capacity,
                                           Position start = {});
    /// Opens an existing one and checks its header, not the records: that is repair(). Throws
    /// JournalDamaged for a header that is not ours or of another version, std::system_error
    /// if the file cannot be opened. `read_only` is for tools, beside a live daemon: the file
    /// is mapped for reading, only the reader's part below except free_to() may be called, and
    /// next() copies.
    static std::unique_ptr<Journal> open(const std::string &path, bool read_only = false);
    ~Journal();
    Journal(const Journal &) = delete;
    Journal &operator=(const Journal &) = delete;

    // ---- appender: one thread ----------------------------------------------
    /// Appends `e` with the number next_number(). False when there is no room: the
    /// caller must wait for the committer; nothing has changed. A record of more than
    /// kRecordMax bytes is a bug. 20 to 60 ns for a small request; no system
    /// call unless the reader sleeps.
    bool append(const Event &e) noexcept;
    /// Whether append() of a record of `record_bytes` would succeed: to be asked before
    /// an event is executed. Stays true until the next append().
    bool has_room(std::size_t record_bytes = kRecordMax) noexcept;
    /// Number that the next event gets.
    std::uint64_t next_number() const noexcept { return head_.number; }

    // ---- any thread --------------------------------------------------------
    std::size_t bytes_used() const noexcept;
    std::size_t capacity() const noexcept { return capacity_; }

    // ---- reader: one thread ------------------------------------------------
    /// Oldest record kept.
    Position tail() const noexcept;
    /// End of the complete records.
    Position head() const noexcept;
    /// Reads the record at `p` and moves `p` behind it. Nullopt at the head. Views borrow
    /// from the mapping and stay valid until free_to() passes them; in a read-only journal
    /// they borrow from a copy and stay valid until the next call. Throws JournalDamaged
    /// for a bad checksum, a number out of order or a position that is not one, and
    /// JournalOvertaken if the record is no longer there; `p` is then unchanged.
    std::optional<Event> next(Position &p) const;
    /// Sleeps until head() differs from `seen` or `timeout_us` is over. Read-only: looks
    /// every 2 ms, since nobody can know of us.
    void wait(Position seen, std::int64_t timeout_us) const noexcept;
    /// Ends a wait() early, the next one if none is going on (shutdown). From any thread, not
    /// read-only.
    void wake() const noexcept;
    /// Gives room back up to `p`, which came from next(), head() or a checkpoint of this
    /// journal and is not past head() (of a checkpoint: the caller compares). Does nothing if `p` is freed
    /// already.
    void free_to(Position p) noexcept;

    /// Recovery, before there are threads. Forgets everything before the event after `number`, if that one is there
    /// (or is the next) and all behind it is whole; finds it without reading what lies before, for that may be
    /// damaged. False: nothing has changed. O(capacity).
    bool skip_to_after(std::uint64_t number);
    /// Reads everything from the tail; what is damaged, as a text, else an empty string.
    std::string check() const;
    /// The same, and on damage cuts
    /// the head to the last good record and returns a text for the log, else an empty string.
    std::string repair();

private:
    struct Map;
    class Mapping;
    Journal(const std::string &path, Map *m, bool read_only);
    [[noreturn]] void damaged(Position p, const char *what) const;
    void check_kept(Position p) const;
    void end_sleep() const noexcept;
    const std::byte *copy_out(const std::byte *from, std::size_t &avail) const;

    const std::string path_;
    Map *const map_;
    std::byte *const data_;
    const std::size_t capacity_;
    const bool read_only_;
    // The appender's own: saves it the division and the cache line of the tail.
    alignas(64) Position head_;
    std::uint64_t place_ = 0; // head_.offset % capacity_
    std::uint64_t tail_seen_ = 0;
    // The reader's own: the appender's cache line is fetched once per batch.
    alignas(64) mutable Position head_seen_;
    mutable std::vector<std::byte> copy_;
};

} // namespace xsgit
