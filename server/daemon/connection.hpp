// SPDX-License-Identifier: MIT
// One client of the loop: its slot, what waits to be sent to it, and where it stands.
#pragma once

#include "server/daemon/outbox.hpp"
#include "server/daemon/slot.hpp"
#include "server/daemon/socket_transport.hpp"

#include <cstdint>

namespace xsgit::server {

struct Connection {
    Connection(std::uint32_t slot_index, SlotMemory &memory, int socket) noexcept
        : index(slot_index), fd(socket), transport(socket), slot(memory, transport), id(memory.conn)
    {
    }

    const std::uint32_t index; // of the slot
    const int fd;
    SocketTransport transport;
    Slot slot;
    Outbox outbox;
    std::uint64_t id;               // incarnation
    std::uint32_t interest = 0;     // epoll's
    bool ready = false;             // on the loop's list: a whole request is buffered
    bool dirty = false;             // on the loop's list: something to send
    bool full = false;              // the socket takes no more
    bool stalled = false;           // too much unsent: no requests are read
    bool held = false;              // on the loop's list: the store did not take its request now
    bool deaf = false;              // nobody reads what we send
    bool closing = false;           // on the loop's list: will be gone soon
    std::uint64_t control_wait = 0; // see ControlService::serve()
    bool poison = false;            // its next request ended earlier servers
};

} // namespace xsgit::server
