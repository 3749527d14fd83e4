// SPDX-License-Identifier: MIT
// Each round: read from all that have something, write the file, send. So whatever the daemon has got is in the file.
#include "bisect/record/proxy.hpp"

#include "server/daemon/local_socket.hpp"
#include "server/daemon/peer.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <utility>

namespace xsgit::record {

namespace {

constexpr int kBacklog = 128, kRetryMs = 5;
constexpr std::size_t kOtherDescriptors = 32; // not of connections
// Keys of epoll: 0 the listener, 1 what stops us, else twice the connection, and one more for the daemon's end.
constexpr std::uint64_t kListener = 0, kStop = 1;

std::uint64_t now_us(clockid_t clock) noexcept
{
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_nsec) / 1000;
}

/// As many connections as there may be descriptors for.
std::size_t most_connections()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t descriptors = std::max<std::size_t>(limit.rlim_cur, kOtherDescriptors + 2);
    return std::min(kSocketConnections, (descriptors - kOtherDescriptors) / 2);
}

} // namespace

std::uint64_t monotonic_us() noexcept { return now_us(CLOCK_MONOTONIC); }
std::uint64_t wall_us() noexcept { return now_us(CLOCK_REALTIME); }

Listener::Listener(std::string path)
    : path_(std::move(path)), fd_(server::listen_at(path_, SOCK_STREAM, kBacklog))
{
}

Listener::~Listener() { ::unlink(path_.c_str()); }

Proxy::Proxy(const Listener &listener, std::string to, SessionFile &file, const Redaction &redaction,
             std::uint64_t begin_us, std::function<void(const std::string &)> note)
    : listener_(listener), to_(std::move(to)), file_(file), recorder_(file, redaction), begin_us_(begin_us),
      note_(std::move(note)), epoll_(epoll_create1(EPOLL_CLOEXEC)), most_(most_connections())
{
    watch(listener_.fd(), kListener, true);
}

void Proxy::watch(int fd, std::uint64_t key, bool edge)
{
    epoll_event e{};
    e.events = EPOLLIN | (edge ? EPOLLOUT | EPOLLRDHUP | EPOLLET : 0u);
    e.data.u64 = key;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot wait for a connection");
}

bool Proxy::run(int stop)
{
    watch(stop, kStop, false);
    while (!stopped_) {
        wait(!ready_.empty() || (can_accept_ && !waiting_ && pairs_.size() < most_));
        accept();
        pass();
    }
    record([&](std::uint64_t at) { file_.finish(at, "stopped"); });
    return recording_;
}

void Proxy::wait(bool busy)
{
    epoll_event events[256];
    const int timeout = busy       ? 0
                        : waiting_ ? kRetryMs
                                   : -1; // nothing tells when the daemon's backlog has room again
    const int n = epoll_wait(epoll_.get(), events, std::size(events), timeout);
    if (n < 0 && errno != EINTR)
        throw std::system_error(errno, std::generic_category(), "cannot wait for connections");
    for (int i = 0; i < n; ++i)
        event(events[i].data.u64, events[i].events);
}

void Proxy::event(std::uint64_t key, std::uint32_t events)
{
    if (key == kListener) {
        can_accept_ = true;
    } else if (key == kStop) {
        stopped_ = true;
    } else if (const auto it = pairs_.find(key / 2); it != pairs_.end()) {
        Socket &end = key % 2 != 0 ? it->second.daemon : it->second.client;
        end.readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        end.writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
        make_ready(it->second);
    }
}

void Proxy::make_ready(Pair &pair)
{
    if (!std::exchange(pair.ready, true))
        ready_.push_back(&pair);
}

void Proxy::accept()
{
    if (waiting_ && !connect(std::move(waiting_)))
        return;
    while (can_accept_ && pairs_.size() < most_) {
        server::UniqueFd client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!client) {
            can_accept_ =
                errno == EINTR || errno == ECONNABORTED; // else: until an event, or until one has gone
            continue;
        }
        if (!connect(std::move(client)))
            return;
    }
}

/// False: the daemon has no room, the client waits.
bool Proxy::connect(server::UniqueFd client)
{
    server::UniqueFd daemon = server::connect_to(to_, SOCK_STREAM | SOCK_NONBLOCK);
    if (!daemon && errno == EAGAIN) {
        waiting_ = std::move(client);
        return false;
    }
    const server::Peer peer = server::peer_of(client.get());
    if (!daemon) {
        const std::string why = fmt::format("cannot connect to {}: {}; process {} ({}) is sent away", to_,
                                            std::generic_category().message(errno), peer.pid, peer.comm);
        note_(why);
        record([&](std::uint64_t at) { file_.add(at, session::Note{why}); });
        return true;
    }
    const std::uint64_t conn = next_++;
    Pair &pair = pairs_[conn];
    pair.conn = conn;
    pair.client.fd = client.get();
    pair.daemon.fd = daemon.get();
    pair.client_fd = std::move(client);
    pair.daemon_fd = std::move(daemon);
    record([&](std::uint64_t at) {
        recorder_.opened(at, {conn, false, session::Transport::Socket, std::nullopt,
                              static_cast<std::uint32_t>(peer.pid), static_cast<std::uint32_t>(peer.uid),
                              peer.comm});
    });
    watch(pair.client.fd, 2 * conn, true);
    watch(pair.daemon.fd, 2 * conn + 1, true);
    make_ready(pair);
    return true;
}

void Proxy::receive(Pair &pair)
{
    const auto take = [&](Pipe &pipe, Socket &from, From who) {
        const bool fresh = pipe.can_receive(from);
        const std::string_view bytes = fresh ? pipe.receive(from) : std::string_view();
        if (!bytes.empty())
            record([&](std::uint64_t at) { recorder_.bytes(at, pair.conn, who, bytes); });
    };
    // Replies first: what is behind them was asked after they were there.
    take(pair.down, pair.daemon, From::Daemon);
    take(pair.up, pair.client, From::Client);
}

void Proxy::send(Pair &pair)
{
    pair.up.send(pair.daemon);
    pair.down.send(pair.client);
    if (pair.up.done() && !std::exchange(pair.up_ended, true))
        (void)::shutdown(pair.daemon.fd, SHUT_WR); // what the daemon still answers is recorded
}

void Proxy::pass()
{
    std::vector<Pair *> now;
    now.swap(ready_);
    for (Pair *pair : now)
        receive(*pair);
    record([&](std::uint64_t) { file_.flush(); });
    for (Pair *pair : now) {
        send(*pair);
        pair->ready = false;
        if (pair->down.done()) { // the daemon has closed it
            const std::uint64_t conn = pair->conn;
            record([&](std::uint64_t at) { recorder_.closed(at, conn); });
            pairs_.erase(conn);
            can_accept_ = true;
            continue;
        }
        if (pair->up.can_receive(pair->client) || pair->up.can_send(pair->daemon) ||
            pair->down.can_receive(pair->daemon) || pair->down.can_send(pair->client))
            make_ready(*pair);
    }
}

void Proxy::record(const std::function<void(std::uint64_t)> &what)
{
    if (!recording_)
        return;
    try {
        what(monotonic_us() - begin_us_);
    } catch (const std::runtime_error &e) {
        recording_ = false;
        note_(fmt::format("{}; nothing more is recorded, clients are served on", e.what()));
    }
}

} // namespace xsgit::record
