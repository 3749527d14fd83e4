// SPDX-License-Identifier: MIT
// Plays to a daemon's socket, one request at a time, taking what comes to others meanwhile.
#include "bisect/replay/target.hpp"
#include "server/daemon/unique_fd.hpp"
#include "server/engine/wire.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/core.h>
#include <map>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace xsgit::replay {

namespace {

using Clock = std::chrono::steady_clock;

/// req_id of requests that only wait for what was caused before.
constexpr std::uint32_t kFence = 0xfffffff1;

std::string wire_of(std::uint32_t type, std::uint32_t req, std::uint32_t tx, const std::string &payload)
{
    std::string wire(kHeaderSize, '\0');
    server::write_header({type, req, tx, static_cast<std::uint32_t>(payload.size())}, wire.data());
    return wire + payload;
}

struct Connection {
    int fd = -1;
    std::string in; // at most one message and what one recv() brings
    bool ended = false;
};

} // namespace

struct SocketTarget::Impl {
    std::string path;
    std::chrono::milliseconds patience{};
    std::map<std::size_t, Connection> open;
    std::uint64_t rings = 0, domains = 0; // seen

    ~Impl()
    {
        for (auto &[client, c] : open)
            ::close(c.fd);
    }

    /// Whole messages that are there, to `out`; true if the reply is among them (fences are swallowed).
    bool take_messages(std::size_t client, Connection &c, std::vector<Received> &out)
    {
        bool reply = false;
        std::size_t used = 0;
        for (;;) {
            const std::string_view rest = std::string_view(c.in).substr(used);
            if (rest.size() < kHeaderSize)
                break;
            const server::Header h = server::read_header(rest.data());
            if (h.len > kPayloadMax)
                throw TargetFailed(
                    fmt::format("{}: a message of {} bytes came, where {} are the most: this is no xenstored",
                                path, h.len, kPayloadMax));
            if (rest.size() < kHeaderSize + h.len)
                break;
            used += kHeaderSize + h.len;
            const bool event = h.type == static_cast<std::uint32_t>(server::MsgType::WatchEvent);
            reply = reply || !event;
            if (event || h.req_id != kFence)
                out.push_back({client,
                               event,
                               false,
                               {client, h.type, h.req_id, h.tx_id, false,
                                std::string(rest.substr(kHeaderSize, h.len))}});
        }
        c.in.erase(0, used);
        return reply;
    }

    /// One read of what is there; the connection may end by it.
    void receive(Connection &c)
    {
        char buffer[65536];
        const ssize_t n = ::recv(c.fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0)
            c.in.append(buffer, static_cast<std::size_t>(n));
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            c.ended = true;
    }

    /// Waits until somebody has something or is to write; takes what came. True if `client` has its reply.
    bool wait(std::size_t client, Clock::time_point until, bool to_write, std::vector<Received> &out)
    {
        std::vector<pollfd> fds;
        std::vector<std::size_t> whose;
        for (auto &[id, c] : open)
            if (!c.ended) {
                fds.push_back(
                    {c.fd, static_cast<short>(POLLIN | (id == client && to_write ? POLLOUT : 0)), 0});
                whose.push_back(id);
            }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
        const int ready =
            ::poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready < 0 && errno != EINTR)
            throw TargetFailed(fmt::format("{}: {}", path, std::strerror(errno)));
        bool reply = false;
        for (std::size_t i = 0; i < fds.size(); ++i)
            if (ready > 0 && (fds[i].revents & (POLLIN | POLLHUP | POLLERR))) {
                Connection &c = open.at(whose[i]);
                receive(c);
                reply = take_messages(whose[i], c, out) && whose[i] == client ? true : reply;
            }
        // Events without a pause are no reply.
        if (!reply && (ready == 0 || Clock::now() >= until))
            throw TargetFailed(
                fmt::format("{}: no reply within {} s; --timeout waits longer", path, seconds()));
        return reply;
    }

    double seconds() const { return static_cast<double>(patience.count()) / 1000; }

    /// 0, or why it cannot be. While the daemon's backlog is full it is tried again.
    int connect(int fd, const sockaddr_un &address) const
    {
        const auto until = Clock::now() + patience;
        while (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
            if (errno != EAGAIN && errno != EINTR)
                return errno;
            if (Clock::now() >= until)
                throw TargetFailed(
                    fmt::format("{}: the daemon takes no connection within {} s; --timeout waits longer",
                                path, seconds()));
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return 0;
    }

    /// True if it was answered; false: the connection has ended.
    bool ask(std::size_t client, const std::string &wire, std::vector<Received> &out)
    {
        Connection &c = open.at(client);
        const auto until = Clock::now() + patience;
        for (std::size_t sent = 0; sent < wire.size() && !c.ended;) {
            const ssize_t n =
                ::send(c.fd, wire.data() + sent, wire.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n >= 0)
                sent += static_cast<std::size_t>(n);
            else if (errno == EAGAIN)
                wait(client, until, true, out);
            else if (errno != EINTR)
                c.ended = true;
        }
        while (!c.ended)
            if (wait(client, until, false, out))
                return true;
        return false;
    }

    bool fence(std::size_t client, std::vector<Received> &out)
    {
        using server::MsgType;
        return ask(
            client,
            wire_of(static_cast<std::uint32_t>(MsgType::GetDomainPath), kFence, 0, std::string("0\0", 2)),
            out);
    }
};

SocketTarget::SocketTarget(std::string path, std::chrono::milliseconds patience)
    : impl_(std::make_unique<Impl>())
{
    impl_->path = std::move(path);
    impl_->patience = patience;
}

SocketTarget::~SocketTarget() = default;

void SocketTarget::open(std::size_t client, const session::Opened &who)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (impl_->path.size() >= sizeof address.sun_path)
        throw TargetFailed(impl_->path + ": too long for the name of a socket");
    std::memcpy(address.sun_path, impl_->path.data(), impl_->path.size());
    server::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (const int error = fd ? impl_->connect(fd.get(), address) : errno)
        throw TargetFailed(
            fmt::format("{}: cannot connect to a daemon there: {}", impl_->path, std::strerror(error)));
    impl_->open[client].fd = fd.release();
    if (who.transport == session::Transport::Ring || who.domid.value_or(0) != 0)
        ++impl_->rings;
}

void SocketTarget::close(std::size_t client, std::vector<Received> &out)
{
    impl_->fence(client, out);
    ::close(impl_->open.at(client).fd);
    impl_->open.erase(client);
}

void SocketTarget::request(std::size_t client, const session::Request &r, const session::Message *,
                           std::vector<Received> &out)
{
    const std::uint32_t req = r.req_id == kFence ? kFence + 1 : r.req_id;
    const std::size_t before = out.size();
    const bool answered = impl_->ask(client, wire_of(r.type, req, r.tx_id, r.payload), out);
    if (!answered)
        out.push_back({client, false, true, {}});
    for (std::size_t i = before; i < out.size() && req != r.req_id; ++i)
        if (out[i].message.req_id == req)
            out[i].message.req_id = r.req_id;
}

void SocketTarget::domains(const std::string &, std::vector<Received> &) { ++impl_->domains; }

void SocketTarget::watch(const session::Watch &w)
{
    std::string payload = w.path + '\0' + w.token + '\0';
    if (w.depth)
        payload += std::to_string(*w.depth) + '\0';
    std::vector<Received> nobody_waits_for_it;
    const auto client = static_cast<std::size_t>(w.conn);
    impl_->ask(client, wire_of(static_cast<std::uint32_t>(server::MsgType::Watch), 0, 0, payload),
               nobody_waits_for_it);
    impl_->fence(client, nobody_waits_for_it);
}

void SocketTarget::settle(std::vector<Received> &out)
{
    std::vector<std::size_t> all;
    for (const auto &[client, c] : impl_->open)
        all.push_back(client);
    for (const std::size_t client : all)
        impl_->fence(client, out);
}

std::string SocketTarget::remark() const
{
    std::string text;
    if (impl_->rings)
        text =
            fmt::format("{} connections of guests were played as if the control domain asked", impl_->rings);
    if (impl_->domains)
        text += fmt::format("{}{} times the daemon was told of domains, which a socket cannot do",
                            text.empty() ? "" : "; ", impl_->domains);
    return text;
}

} // namespace xsgit::replay
