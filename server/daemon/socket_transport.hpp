// SPDX-License-Identifier: MIT
// A connected stream socket as Transport. Does not own the descriptor.
#pragma once

#include "server/daemon/transport.hpp"

namespace xsgit::server {

class SocketTransport final : public Transport {
public:
    explicit SocketTransport(int fd) noexcept : fd_(fd) {}
    int receive(mmsghdr &m) noexcept override;
    int send(mmsghdr &m) noexcept override;
    // The kernel has stored the count, or nothing happened.
    bool settle_receive(mmsghdr &) noexcept override { return true; }
    bool settle_send(mmsghdr &) noexcept override { return true; }
    // epoll says it again and again.
    bool more() const noexcept override { return false; }
    bool has_room() const noexcept override { return false; }
    void nudge() noexcept override {}
    bool refuse(RingError) noexcept override { return false; }

private:
    int fd_;
};

} // namespace xsgit::server
