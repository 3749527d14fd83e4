// SPDX-License-Identifier: MIT
// An event: what reached the daemon, with every fact that step() needs to know.
// The same binary record is used by the journal, session files and the tap.
//
// Record, little-endian, 8-byte aligned, version kRecordVersion (kept in the header
// of the file that holds it):
//   off size
//    0   4   length of the whole record in bytes, a multiple of 8
//    4   4   kind (EventKind)
//    8   8   XXH3-64 of bytes [16, length), seeded with the first 8 bytes
//   16   8   event number, from 1 without gaps
//   24   8   monotonic time, microseconds (timers)
//   32   8   wall time, microseconds since 1970; never runs backwards
//   40   8   connection incarnation; 0 if none. Never reused in a repository
//   48   8   request number within the incarnation, from 1; 0 if not a request
//   56   8   XXH3-64 of the outputs of this event (see engine/output.hpp)
//   64   4   bytes of facts
//   68   4   bytes of wire data
//   72   .   facts, then wire data, zero-padded to 8
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit {

inline constexpr std::uint32_t kRecordVersion = 1;
inline constexpr std::size_t kRecordHeader = 72;
/// Largest record: a request with its facts.
inline constexpr std::size_t kRecordMax = 16384;

/// Values are part of the format: never renumber.
enum class EventKind : std::uint32_t {
    Invalid = 0,
    Start = 1,   ///< first event of a repository: the initial tree. facts: json (boot id, settings, hash key)
    Connect = 2, ///< facts: "socket <domid> <pid> <uid> <comm>" or "ring <domid> <unique id, hex> <port>"
    Close = 3,   ///< the connection is gone
    Request =
        4, ///< wire: header and payload as received. facts: what State::needs() asked for (engine/facts.hpp)
    Poison = 5, ///< wire as Request: the request ended the process twice; answered EIO
    Epoch = 6,  ///< history begins a new epoch (keyframe) before the next commit. facts: nothing, or kGapEnds
    Restart = 7,  ///< a process took over; facts: version of the program
    Domains = 8,  ///< domains found changed. facts: "<domid> <unique id, hex> <alive|shutdown|dead>[;…]"
    Settings = 9, ///< of the command line. facts: "<name> <number>[;…]" (engine/settings.hpp)
    Ignore =
        10, ///< conn: a ring whose guest broke the protocol is not served any more. facts: the error code
};

/// Facts of an Epoch with which history goes on after a gap: of what came in between it has no commits.
inline constexpr std::string_view kGapEnds = "gap";

/// A decoded record; `facts` and `wire` borrow from the buffer it came from.
struct Event {
    std::uint64_t number = 0;
    EventKind kind = EventKind::Invalid;
    std::int64_t mono_us = 0;
    std::int64_t wall_us = 0;
    std::uint64_t conn = 0;
    std::uint64_t request = 0;
    std::uint64_t outputs_hash = 0;
    std::string_view facts;
    std::string_view wire;
};

/// Bytes that `e` takes as a record.
std::size_t record_size(const Event &e) noexcept;
/// Writes `e` to `out` (record_size(e) bytes, which must not exceed kRecordMax).
void write_record(const Event &e, std::byte *out) noexcept;

enum class RecordStatus { Ok, Short, Bad };
/// Reads the record at `in` (any alignment), touching `avail` bytes at most. Short: they are
/// too few to tell. Bad: length, padding, kind or checksum is wrong. `e` and `length` are set
/// when Ok. A length of 0 (space never written) is Bad.
RecordStatus read_record(const std::byte *in, std::size_t avail, Event &e, std::size_t &length) noexcept;

} // namespace xsgit
