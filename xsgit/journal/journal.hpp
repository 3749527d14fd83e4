// SPDX-License-Identifier: MIT
// The journal: a ring file, mapped, that holds the events in order until both the
// checkpoint and the published history have passed them. It is also the queue from
// the server thread (one appender) to the committer (one reader, which frees).
//
// File: one header page, then `capacity` bytes of records. A record never wraps: where
// the next one does not fit before the end, a word of ~0 marks the rest as unused.
// Positions are 64-bit and only grow; place in the file = position % capacity.
// `head` is stored (release) after the record is complete, so a killed appender leaves
// either the whole record or nothing; the checksum is for damage from elsewhere.
// Header page: magic "xsgitjnl", record version, capacity, then, each in a cache line
// of its own, head, tail {position, event number}, and the committer's futex word.
#pragma once

#include "xsgit/journal/event.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace xsgit {

struct JournalDamaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Journal {
public:
    /// Makes `path` (0600), allocated to its full size so that later stores cannot meet a
    /// full file system. `capacity` is a multiple of 4096, at least 1 MiB.
    /// Throws std::system_error.
    static std::unique_ptr<Journal> create(const std::string &path, std::size_t capacity);
    /// Opens an existing one and checks its header; throws JournalDamaged for a header that
    /// is not ours or of another version. `read_only` maps privately for tools.
    static std::unique_ptr<Journal> open(const std::string &path, bool read_only = false);
    ~Journal();
    Journal(const Journal &) = delete;

    // ---- appender ----------------------------------------------------------
    /// Appends `e` with the number next_number(). False when there is no room: the
    /// caller must wait for the committer. 20 to 60 ns for a small request; no system
    /// call unless the reader sleeps.
    bool append(Event e) noexcept;
    /// Number that the next event gets.
    std::uint64_t next_number() const noexcept;
    std::size_t bytes_used() const noexcept;
    std::size_t capacity() const noexcept;

    // ---- reader ------------------------------------------------------------
    struct Position {
        std::uint64_t offset = 0; // place of the next record to read
        std::uint64_t number = 1; // its number
    };
    /// Oldest record kept.
    Position tail() const noexcept;
    /// End of the complete records.
    Position head() const noexcept;
    /// Reads the record at `p` and moves `p` behind it. Nullopt at the head. Views borrow
    /// from the mapping and stay valid until free_to() passes them. Throws JournalDamaged
    /// for a bad checksum or a number out of order.
    std::optional<Event> next(Position &p) const;
    /// Sleeps until head() differs from `seen` or `timeout_us` is over.
    void wait(Position seen, std::int64_t timeout_us) const noexcept;
    /// Wakes a wait() early (shutdown).
    void wake() const noexcept;
    /// Gives room back up to `p`.
    void free_to(Position p) noexcept;

    /// Recovery: checks everything from the tail; on damage cuts the head to the last good
    /// record and returns a text for the log, else an empty string.
    std::string repair();

private:
    struct Map;
    Journal(Map *m, std::size_t mapped, bool read_only);
    Map *map_;
    std::size_t mapped_;
    bool read_only_;
};

} // namespace xsgit
