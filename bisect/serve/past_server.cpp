// SPDX-License-Identifier: MIT
#include "bisect/serve/past_server.hpp"

#include "server/daemon/local_socket.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <vector>

namespace xsgit::bisect {

namespace {

constexpr std::size_t kClients = 1024; // further ones wait in the backlog
constexpr int kBacklog = 128;
constexpr int kAcceptsAtOnce = 16;
constexpr int kRetryMs = 100; // when descriptors have run out

bool for_now() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

} // namespace

PastServer::PastServer(const std::string &path, std::unique_ptr<PastState> state)
    : path_(path), listening_(server::listen_at(path, SOCK_STREAM, kBacklog)), state_(std::move(state))
{
    fcntl(listening_.get(), F_SETFD, FD_CLOEXEC);
}

PastServer::~PastServer() { ::unlink(path_.c_str()); }

void PastServer::serve_until(int wake)
{
    std::vector<pollfd> fds;
    std::vector<std::uint64_t> conns; // of fds[2] and on
    for (;;) {
        fds.assign(
            {{wake, POLLIN, 0}, {full_ || clients_.size() >= kClients ? -1 : listening_.get(), POLLIN, 0}});
        conns.clear();
        for (const auto &[conn, c] : clients_) {
            const bool reads = !c->ended && !c->buffer.room().empty();
            fds.push_back(
                {c->fd.get(),
                 static_cast<short>((reads ? POLLIN : 0) | (c->buffer.unsent().empty() ? 0 : POLLOUT)), 0});
            conns.push_back(conn);
        }
        if (poll(fds.data(), fds.size(), full_ ? kRetryMs : -1) < 0) {
            if (errno == EINTR)
                continue;
            throw std::system_error(errno, std::generic_category(), "waiting for clients");
        }
        full_ = false;
        for (std::size_t i = 0; i < conns.size(); ++i) {
            const short happened = fds[i + 2].revents;
            if (happened != 0 && !serve(conns[i], *clients_.at(conns[i]), (happened & ~POLLOUT) != 0)) {
                state_->close(conns[i]);
                clients_.erase(conns[i]);
            }
        }
        if (fds[1].revents != 0)
            accept_some();
        if (fds[0].revents != 0)
            return;
    }
}

void PastServer::accept_some()
{
    for (int i = 0; i < kAcceptsAtOnce && clients_.size() < kClients; ++i) {
        server::UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) {
            full_ = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            return;
        }
        auto c = std::make_unique<Client>();
        c->fd = std::move(fd);
        clients_.emplace(state_->connect(), std::move(c));
    }
}

bool PastServer::serve(std::uint64_t conn, Client &c, bool readable)
{
    if (readable && !c.ended && !read_some(c))
        return false;
    execute(conn, c);
    if (!write_some(c))
        return false;
    execute(conn, c); // those that had waited for it to take answers
    if (c.buffer.broken())
        return false;
    return !(c.ended && c.buffer.unsent().empty());
}

void PastServer::execute(std::uint64_t conn, Client &c)
{
    while (!c.buffer.broken() && !c.buffer.stalled()) {
        const auto request = c.buffer.request();
        if (!request)
            return;
        const server::Outputs &out = state_->request(conn, *request);
        for (const server::Output &o : out.items())
            c.buffer.answer(out.bytes(o));
        c.buffer.drop_request();
    }
}

bool PastServer::read_some(Client &c)
{
    const auto room = c.buffer.room();
    if (room.empty())
        return true;
    const ssize_t n = recv(c.fd.get(), room.data(), room.size(), 0);
    if (n > 0)
        c.buffer.filled(static_cast<std::size_t>(n));
    else if (n == 0)
        c.ended = true;
    return n >= 0 || for_now();
}

bool PastServer::write_some(Client &c)
{
    while (!c.buffer.unsent().empty()) {
        const std::string_view bytes = c.buffer.unsent();
        const ssize_t n = send(c.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0)
            return for_now();
        c.buffer.sent(static_cast<std::size_t>(n));
    }
    return true;
}

} // namespace xsgit::bisect
