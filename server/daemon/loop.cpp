// SPDX-License-Identifier: MIT
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <system_error>

namespace xsgit::server {

namespace {

// Connections have their incarnation as tag; these are never reached.
constexpr std::uint64_t kListen = ~std::uint64_t{0};
constexpr std::uint64_t kSignal = kListen - 1;
constexpr std::uint64_t kKeeper = kListen - 2;
constexpr std::uint64_t kRings = kListen - 3;
constexpr std::uint64_t kStore = kListen - 4;

void control(int epoll, int op, int fd, std::uint64_t tag, std::uint32_t events)
{
    epoll_event e{};
    e.events = events;
    e.data.u64 = tag;
    if (epoll_ctl(epoll, op, fd, &e) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

/// How many clients there may be so that the store always has descriptors for its files.
std::uint32_t most_clients() noexcept
{
    constexpr rlim_t kReserve = 128;
    // The other slots are for rings, and one is for a ring that takes the place of another one.
    constexpr std::uint32_t kMost = kSocketConnections - 1;
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return kMost;
    return static_cast<std::uint32_t>(std::min<rlim_t>(
        kMost, files.rlim_cur > 2 * kReserve ? files.rlim_cur - kReserve : files.rlim_cur / 3));
}

} // namespace

Loop::Loop(const Parts &parts)
    : p_(parts), epoll_(epoll_create1(EPOLL_CLOEXEC)), most_clients_(most_clients())
{
    if (!epoll_)
        throw std::system_error(errno, std::generic_category(), "epoll_create1");
    control(epoll_.get(), EPOLL_CTL_ADD, p_.listen_fd, kListen, EPOLLIN);
    if (p_.signal_fd >= 0)
        control(epoll_.get(), EPOLL_CTL_ADD, p_.signal_fd, kSignal, EPOLLIN);
    if (p_.keeper_fd >= 0)
        control(epoll_.get(), EPOLL_CTL_ADD, p_.keeper_fd, kKeeper, EPOLLIN);
    if (const int fd = p_.fold.wake_fd(); fd >= 0)
        control(epoll_.get(), EPOLL_CTL_ADD, fd, kStore, EPOLLIN);
    if (RingHost *rings = p_.hypervisor.rings())
        control(epoll_.get(), EPOLL_CTL_ADD, rings->fd(), kRings, EPOLLIN);
}

Loop::~Loop() = default;

Loop::End Loop::run()
{
    std::array<epoll_event, 256> events;
    while (!stop_ && !keeper_gone_) {
        const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
        if (n < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "epoll_wait");
        if (waiting())
            retry();
        for (int i = 0; i < n; ++i)
            handle(events[static_cast<std::size_t>(i)]);
        if (!accepting_ && now_ms() >= accept_again_ms_) {
            control(epoll_.get(), EPOLL_CTL_MOD, p_.listen_fd, kListen, EPOLLIN);
            accepting_ = true;
        }
        if (!rings_.empty() && now_ms() >= scan_again_ms_)
            scan();
        if (!doubted_.empty())
            look_again();
        if (!limited_.empty() && now_ms() >= limited_until_ms_)
            release_limited();
        if (!counting_.empty() && now_ms() >= forgive_again_ms_)
            forgive_caused();
        if (!to_store_.empty())
            store_due();
        serve();
        flush_dirty();
        go_on();
        reap();
    }
    return stop_ ? End::Stop : End::KeeperGone;
}

/// Something was refused by the store and is tried again every millisecond.
bool Loop::waiting() const
{
    return !held_.empty() || !closing_.empty() || !lost_.empty() || unadmitted_ || survey_due_ ||
           !offenders_.empty();
}

int Loop::timeout() const
{
    if (!ready_.empty())
        return 0;
    if (waiting())
        return 1;
    if (accepting_ && rings_.empty() && counting_.empty() && to_store_.empty())
        return -1;
    std::int64_t next = accepting_ ? INT64_MAX : accept_again_ms_;
    if (!counting_.empty())
        next = std::min(next, forgive_again_ms_);
    if (!rings_.empty())
        next = std::min(next, scan_again_ms_);
    if (!to_store_.empty())
        next = std::min(next, to_store_.front().due_ms);
    if (!doubted_.empty())
        next = std::min(next, doubted_.front().second + kDoubtMs);
    if (!limited_.empty())
        next = std::min(next, limited_until_ms_);
    const std::int64_t left = next - now_ms();
    return left > 0 ? static_cast<int>(left) : 0;
}

void Loop::retry()
{
    const std::int64_t now = now_ms();
    if (now == retried_ms_)
        return;
    retried_ms_ = now;
    if (unadmitted_)
        admit(std::move(unadmitted_));
    if (survey_due_)
        survey_due_ = !survey();
    tell_misbehaviour();
    for (Connection *c : std::exchange(held_, {})) {
        c->held = false;
        watch(*c);
        look(*c);
    }
}

void Loop::handle(const epoll_event &e)
{
    const std::uint64_t who =
        e.data.u64; // not by reference: the struct is packed, 8 bytes at a multiple of 4
    switch (who) {
    case kListen:
        return accept_some();
    case kSignal:
        return signalled();
    case kKeeper:
        keeper_gone_ = true;
        return;
    case kRings:
        return rang();
    case kStore:
        return p_.fold.tend();
    default:
        break;
    }
    const auto it = clients_.find(who);
    if (it == clients_.end())
        return; // closed in this pass
    Connection &c = *it->second;
    if (e.events & EPOLLHUP)
        make_deaf(c);
    if (e.events & EPOLLOUT) {
        c.full = false;
        flush(c);
    }
    if (e.events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        readable(c);
}

void Loop::signalled()
{
    signalfd_siginfo info;
    while (read(p_.signal_fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            stop_ = true;
        else if (info.ssi_signo == SIGHUP)
            p_.trace.reopen();
}

void Loop::watch(Connection &c)
{
    // A connection of which nothing is wanted leaves epoll: a peer's hang-up would be reported without end.
    const std::uint32_t wanted = (c.stalled || c.held ? 0u : EPOLLIN) | (c.full ? EPOLLOUT : 0u);
    if (c.closing || c.fd == kNoFd || wanted == c.interest)
        return;
    control(epoll_.get(),
            wanted == 0       ? EPOLL_CTL_DEL
            : c.interest == 0 ? EPOLL_CTL_ADD
                              : EPOLL_CTL_MOD,
            c.fd, c.id, wanted);
    c.interest = wanted;
}

void Loop::pause_accepting()
{
    // Clients wait in the backlog; nobody else is harmed.
    constexpr std::int64_t kPauseMs = 100;
    control(epoll_.get(), EPOLL_CTL_MOD, p_.listen_fd, kListen, 0);
    accepting_ = false;
    accept_again_ms_ = now_ms() + kPauseMs;
}

} // namespace xsgit::server
