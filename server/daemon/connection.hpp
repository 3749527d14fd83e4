// SPDX-License-Identifier: MIT
// One client of the loop: its slot, what waits to be sent to it, and where it stands.
#pragma once

#include "server/daemon/held_up.hpp"
#include "server/daemon/outbox.hpp"
#include "server/daemon/slot.hpp"
#include "server/daemon/transport.hpp"

#include <cstdint>
#include <memory>

namespace xsgit::server {

struct Connection {
    /// `socket`: what epoll watches; kNoFd: somebody else tells when there is something to do.
    Connection(std::uint32_t slot_index, SlotMemory &memory, std::unique_ptr<Transport> way,
               int socket) noexcept
        : index(slot_index), fd(socket), transport(std::move(way)), slot(memory, *transport), id(memory.conn),
          domid(memory.domid)
    {
    }

    /// Replies that the other side has not taken.
    std::size_t unsent_replies() const noexcept
    {
        return outbox.replies() + (slot.idle() ? 0 : slot.unsent_replies());
    }

    const std::uint32_t index; // of the slot
    const int fd;
    const std::unique_ptr<Transport> transport;
    Slot slot;
    Outbox outbox;
    std::uint64_t id; // incarnation
    std::uint32_t domid;
    std::uint32_t interest = 0; // epoll's
    bool ready = false;         // on the loop's list: it is its turn
    bool dirty = false;         // on the loop's list: something to send
    bool full = false;          // the other side takes no more
    bool stalled = false;       // too much unsent: no requests are read
    bool held = false;          // on the loop's list: the store did not take its request now
    bool counting = false;      // on the loop's list: what waits for it counts against those who caused it
    HeldUp held_up;
    std::int64_t lenient_until_ms = 0; // it did not take what counted: until then nothing does
    bool deaf = false;                 // nobody reads what we send
    bool doubted = false;              // its ring's indexes are wrong, or were a moment ago
    bool ignored = false;              // broke the rules: neither read nor written any more
    bool closing = false;              // on the loop's list: will be gone soon
    std::uint64_t control_wait = 0;    // see ControlService::serve()
    bool poison = false;               // its next request ended earlier servers
};

} // namespace xsgit::server
