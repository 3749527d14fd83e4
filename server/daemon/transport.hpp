// SPDX-License-Identifier: MIT
// How the bytes of a slot reach the other side. Whatever it is, a transfer either stored
// its count in msg_len or did not happen: also when the process ends at any instruction.
#pragma once

#include <sys/socket.h>

namespace xsgit::server {

class Transport {
public:
    /// Moves bytes into (out of) the buffer that `m` describes, without blocking. The count is
    /// in m.msg_len; 0 from receive: the other side has closed. Returns 0, or an errno with
    /// msg_len unchanged (EAGAIN: nothing there, or no room).
    virtual int receive(mmsghdr &m) noexcept = 0;
    virtual int send(mmsghdr &m) noexcept = 0;

protected:
    ~Transport() = default;
};

} // namespace xsgit::server
