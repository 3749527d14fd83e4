// SPDX-License-Identifier: MIT
// One direction of a connection that is passed on: what was read and not yet sent, bounded.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xsgit::record {

/// A socket, and what the last event said of it (edge-triggered: until EAGAIN).
struct Socket {
    int fd = -1;
    bool readable = true, writable = true;
};

class Pipe {
public:
    static constexpr std::size_t kChunk = 65536;

    /// Reads at most kChunk bytes, and only when all before is sent; gives what was read (valid until send()).
    std::string_view receive(Socket &from);
    /// Sends what it can. A receiver that is gone takes everything.
    void send(Socket &to);

    /// The sender has ended, and all is sent.
    bool done() const noexcept { return ended_ && waiting_.empty(); }
    /// The receiver takes nothing any more.
    bool broken() const noexcept { return broken_; }
    /// Whether receive() or send() can do something now.
    bool can_receive(const Socket &from) const noexcept
    {
        return waiting_.empty() && !ended_ && from.readable;
    }
    bool can_send(const Socket &to) const noexcept { return !waiting_.empty() && to.writable; }

private:
    std::string waiting_;
    bool ended_ = false, broken_ = false;
};

} // namespace xsgit::record
