// SPDX-License-Identifier: MIT
// Layout of the slots file: what must survive a killed server, one slot per connection.
//
//   page 0        SlotFileHeader
//   then          SlotEntry[kSlotCount]: the directory; the only part that the keeper reads
//   then          SlotMemory[kSlotCount], kSlotSize each, allocated while in use
//
// Rule for everything that changes in steps: two records, one of them active. A change is made in the
// other one, then `active` is flipped. Only processes of one host read this, one after the other, so
// compiler fences are enough between our own stores: what was stored before a process died is there.
#pragma once

#include "xsgit/base/limits.hpp"

#include <cstddef>
#include <cstdint>
#include <sys/socket.h>
#include <sys/uio.h>

namespace xsgit::server {

inline constexpr char kSlotMagic[8] = {'x', 's', 'g', 'i', 't', 's', 'l', 't'};
inline constexpr std::uint32_t kSlotVersion = 2;
inline constexpr std::size_t kSlotSize = 16384;
inline constexpr std::uint32_t kSlotCount = kSocketConnections + kRingConnections;
/// Two messages, so that moving half a request to the front never overlaps itself.
inline constexpr std::size_t kSlotInput = 2 * kMessageMax;
inline constexpr std::size_t kSlotFixed = 768;
inline constexpr std::size_t kSlotOutput = kSlotSize - kSlotFixed - kSlotInput;
static_assert(kSlotOutput >= kMessageMax);

/// msg_len before the kernel has stored a count: the transfer did not happen.
inline constexpr std::uint32_t kNoTransfer = ~std::uint32_t{0};

enum class SlotState : std::uint32_t { Free = 0, Used = 1, Closing = 2 };

/// Of a slot without a socket.
inline constexpr std::int32_t kNoFd = -1;

struct SlotFileHeader {
    char magic[8];
    std::uint32_t version;
    std::uint32_t pointer_size; // mmsghdr depends on it
    std::uint32_t count;
    std::uint32_t high; // slots from here on never had memory
};

/// `state` is stored last when a slot is taken, and first when it is given up.
struct SlotEntry {
    SlotState state;
    std::int32_t fd;      // kNoFd: a ring's slot
    std::uint64_t cookie; // SO_COOKIE: says whether `fd` still is this socket
};

/// Bytes received and not yet executed: input[start, end + count of msg).
struct InputRecord {
    std::uint32_t start;
    std::uint32_t end;
    std::uint64_t first; // number of the request at `start`
    iovec iov;
    mmsghdr msg;
};

/// Whole messages, output[0, total), of which sent + count of msg bytes are gone.
struct OutputRecord {
    std::uint32_t total;
    std::uint32_t sent;
    std::uint64_t last_event; // name of the last message
    std::uint32_t last_index;
    std::uint32_t unused;
    iovec iov;
    mmsghdr msg;
};

/// One direction of a ring: the index in the guest's page that we own is about to go from `from` to `to`; `valid` is
/// stored last. What the page shows after a death tells whether it did.
struct RingIntent {
    std::uint32_t from;
    std::uint32_t to;
    std::uint32_t valid;
    std::uint32_t unused;
};

/// How far the beginning of a ring has come; each step is complete before the next one's word is stored.
enum class RingStage : std::uint32_t {
    Reserved = 0, // page mapped and port bound, for an introduction that may not happen yet
    Taken = 1,    // the introduction is in the journal: the page is to be reset
    Reset = 2,    // a wait for reconnection is to be ended
    Serving = 3,
};

struct RingRecord {
    std::uint32_t local;  // our event channel port
    std::uint32_t remote; // the guest's that it is bound to
    RingStage stage;
    std::uint32_t features; // that the page offers
    RingIntent in, out;
};

struct SlotMemory {
    std::uint64_t conn;      // incarnation
    std::uint64_t executing; // request number << 8 | blame; 0: none
    std::uint32_t domid;
    std::uint32_t input_active;
    std::uint32_t output_active;
    std::uint32_t stored; // not 0: the service manager has a copy of the socket
    char facts[160];      // of the Connect event, NUL-terminated
    InputRecord in[2];
    OutputRecord out[2];
    RingRecord ring; // if it is one's
    char spare[kSlotFixed - 192 - 2 * sizeof(InputRecord) - 2 * sizeof(OutputRecord) - sizeof(RingRecord)];
    char input[kSlotInput];
    char output[kSlotOutput];
};
static_assert(sizeof(SlotMemory) == kSlotSize);

inline constexpr std::size_t kSlotDirectory = 4096;
inline constexpr std::size_t kSlotArea = kSlotDirectory + kSlotCount * sizeof(SlotEntry);
static_assert(kSlotArea % 4096 == 0 && sizeof(SlotEntry) == 16);
inline constexpr std::size_t kSlotFileSize = kSlotArea + kSlotCount * kSlotSize;

} // namespace xsgit::server
