// SPDX-License-Identifier: MIT
// The plural calls are used because the kernel stores their count in our memory before
// a signal can end the process; recv() would return it in a register that dies with us.
#include "server/daemon/socket_transport.hpp"

#include <cerrno>

namespace xsgit::server {

int SocketTransport::receive(mmsghdr &m) noexcept
{
    // A peer that closed without reading our replies leaves ECONNRESET before the
    // requests it sent; the error is reported once, then the data can be read.
    bool reset_seen = false;
    for (;;) {
        if (recvmmsg(fd_, &m, 1, MSG_DONTWAIT, nullptr) >= 0)
            return 0;
        if (errno == ECONNRESET && !reset_seen)
            reset_seen = true;
        else if (errno != EINTR)
            return errno;
    }
}

int SocketTransport::send(mmsghdr &m) noexcept
{
    for (;;) {
        if (sendmmsg(fd_, &m, 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return errno;
    }
}

} // namespace xsgit::server
