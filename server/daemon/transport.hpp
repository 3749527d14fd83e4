// SPDX-License-Identifier: MIT
// How the bytes of a slot reach the other side. Whatever it is, a transfer either stored
// its count in msg_len or did not happen: also when the process ends at any instruction.
#pragma once

#include "server/daemon/ring_page.hpp"

#include <sys/socket.h>

namespace xsgit::server {

class Transport {
public:
    virtual ~Transport() = default;

    /// Moves bytes into (out of) the buffer that `m` describes, without blocking. The count is
    /// in m.msg_len; 0 from receive: the other side has closed. Returns 0, or an errno with
    /// msg_len unchanged (EAGAIN: nothing there, or no room; EPROTO: the other side broke the rules).
    virtual int receive(mmsghdr &m) noexcept = 0;
    virtual int send(mmsghdr &m) noexcept = 0;

    /// For a successor, before anything else: completes msg_len of a transfer that a death has interrupted. False: it
    /// cannot be completed, because the other side has begun anew; what was half moved is void.
    virtual bool settle_receive(mmsghdr &m) noexcept = 0;
    virtual bool settle_send(mmsghdr &m) noexcept = 0;

    /// Whether to receive again at once: something is there, and nobody will ring for it.
    virtual bool more() const noexcept = 0;
    /// After a send that moved less than all: whether room has come meanwhile, of which nobody will tell.
    virtual bool has_room() const noexcept = 0;
    /// Tells the other side that there is room again, unless it has been told since.
    virtual void nudge() noexcept = 0;
    /// The other side broke the rules. True: it has been told, and is to be ignored from now on; false: there is no way
    /// but to close.
    virtual bool refuse(RingError why) noexcept = 0;
};

} // namespace xsgit::server
