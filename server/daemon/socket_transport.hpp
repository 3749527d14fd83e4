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

private:
    int fd_;
};

} // namespace xsgit::server
