// SPDX-License-Identifier: MIT
// Never more than one chunk in memory: who sends faster than the other takes waits in the kernel, as without us.
#include "bisect/record/pipe.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace xsgit::record {

std::string_view Pipe::receive(Socket &from)
{
    if (!can_receive(from))
        return {};
    char chunk[kChunk];
    ssize_t n;
    do
        n = ::recv(from.fd, chunk, sizeof chunk, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        waiting_.assign(chunk, static_cast<std::size_t>(n));
    else if (n < 0 && errno == EAGAIN)
        from.readable = false;
    else
        ended_ = true;
    return waiting_;
}

void Pipe::send(Socket &to)
{
    std::size_t sent = 0;
    while (!broken_ && to.writable && sent < waiting_.size()) {
        const ssize_t n = ::send(to.fd, waiting_.data() + sent, waiting_.size() - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += static_cast<std::size_t>(n);
        else if (errno == EAGAIN)
            to.writable = false;
        else if (errno != EINTR)
            broken_ = true;
    }
    waiting_.erase(0, broken_ ? waiting_.npos : sent);
    if (waiting_.empty() && waiting_.capacity() > kChunk / 16)
        waiting_.shrink_to_fit(); // idle connections cost little
}

} // namespace xsgit::record
