// SPDX-License-Identifier: MIT
// Clients come, go, and outlive a server.
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"
#include "server/daemon/peer.hpp"
#include "server/daemon/socket_transport.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>

namespace xsgit::server {

namespace {

constexpr int kAcceptsPerPass = 64;
constexpr useconds_t kRetryUs = 1000;
/// At this blame (two crashes, or eight kills) a request is answered EIO instead of tried again.
constexpr unsigned kPoisonBlame = 8;

const State::Connection *find(const std::vector<State::Connection> &known, std::uint64_t id)
{
    const auto it = std::lower_bound(known.begin(), known.end(), id,
                                     [](const State::Connection &c, std::uint64_t n) { return c.id < n; });
    return it != known.end() && it->id == id ? &*it : nullptr;
}

} // namespace

void Loop::accept_some()
{
    for (int n = 0; n < kAcceptsPerPass && accepting_ && !unadmitted_; ++n) {
        if (p_.slots.in_use() - rings_.size() >= most_clients_) {
            p_.log.warning("accept",
                           fmt::format("{} clients are connected; further ones wait", most_clients_));
            return pause_accepting();
        }
        // Not CLOEXEC: when the keeper dies, this program replaces itself by a new one and keeps its sockets.
        const int fd = accept4(p_.listen_fd, nullptr, nullptr, SOCK_NONBLOCK);
        if (fd >= 0) {
            XSGIT_CRASH_POINT("accept.accepted");
            take_in(fd);
            continue;
        }
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        p_.log.warning("accept", fmt::format("cannot accept clients: {}; trying again",
                                             std::generic_category().message(errno)));
        return pause_accepting();
    }
}

bool Loop::take_in(int fd)
{
    const Peer peer = peer_of(fd);
    const std::string facts = fmt::format("socket 0 {} {} {}", peer.pid, peer.uid, peer.comm);
    const auto index = p_.slots.take(fd, socket_cookie(fd), p_.fold.next_connection(), 0, facts);
    if (!index) {
        p_.log.error("accept", "no room for another client in the file of slots; refused");
        ::close(fd);
        return false;
    }
    XSGIT_CRASH_POINT("accept.slot");
    admit(std::make_unique<Connection>(*index, p_.slots.memory(*index), std::make_unique<SocketTransport>(fd),
                                       fd));
    return true;
}

void Loop::admit(std::unique_ptr<Connection> c)
{
    p_.names.add(c->id, c->index);
    Event e;
    e.kind = EventKind::Connect;
    e.conn = c->id;
    e.facts = c->slot.facts();
    if (!execute(e)) {
        unadmitted_ = std::move(c);
        pause_accepting();
        return;
    }
    XSGIT_CRASH_POINT("accept.connected");
    Connection &client = *c;
    p_.trace.connected(client.id);
    clients_.emplace(client.id, std::move(c));
    epoll_event ev{};
    ev.events = client.interest = EPOLLIN;
    ev.data.u64 = client.id;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client.fd, &ev) != 0) {
        p_.log.error("accept", fmt::format("connection {}: epoll_ctl: {}", client.id,
                                           std::generic_category().message(errno)));
        close(client);
    }
    store_later(client);
}

void Loop::close(Connection &c)
{
    if (c.closing)
        return;
    c.closing = true;
    flush(c); // what is queued already; without blocking
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, c.fd, nullptr);
    closing_.push_back(&c);
}

bool Loop::execute_close(std::uint64_t conn)
{
    Event e;
    e.kind = EventKind::Close;
    e.conn = conn;
    return execute(e);
}

void Loop::reap()
{
    while (!lost_.empty() && execute_close(lost_.back()))
        lost_.pop_back();
    while (!closing_.empty()) {
        Connection &c = *closing_.back();
        p_.slots.begin_close(c.index);
        XSGIT_CRASH_POINT("close.begun");
        if (!execute_close(c.id))
            return;
        XSGIT_CRASH_POINT("close.told");
        closing_.pop_back();
        end(c.fd);
        XSGIT_CRASH_POINT("close.closed");
        remove(c);
        XSGIT_CRASH_POINT("close.removed");
    }
}

void Loop::remove(Connection &c)
{
    p_.trace.disconnected(c.id);
    if (c.ready)
        std::erase(ready_, &c);
    if (c.dirty)
        std::erase(dirty_, &c);
    if (c.held) {
        std::erase(held_, &c);
        std::erase(limited_, &c);
    }
    c.outbox.clear();
    settle_caused(c);
    if (c.counting)
        std::erase(counting_, &c);
    caused_.forget(c.id);
    if (c.fd == kNoFd) {
        limiter_.forget(c.domid);
        penalty_.forget(c.domid);
    }
    p_.slots.release(c.index);
    p_.names.remove(c.id);
    clients_.erase(c.id);
}

void Loop::resume(const std::vector<int> &orphans)
{
    const std::vector<State::Connection> known = p_.fold.connections();
    std::vector<std::uint32_t> strangers, ring_slots;
    for (const std::uint32_t index : p_.slots.used())
        if (p_.slots.entry(index).fd == kNoFd)
            ring_slots.push_back(index);
        else if (!resume_slot(index, known))
            strangers.push_back(index);
    XSGIT_CRASH_POINT("recover.sockets");
    resume_rings(ring_slots, known);
    XSGIT_CRASH_POINT("recover.rings");
    for (const State::Connection &c : known)
        if (!c.ring && !clients_.contains(c.id))
            lost_.push_back(c.id);

    for (const UnsentOutput &o : p_.fold.take_unsent()) {
        const auto it = clients_.find(o.conn);
        if (it == clients_.end() || it->second->deaf || o.name <= it->second->slot.last())
            continue;
        Connection &c = *it->second;
        if (c.outbox.empty())
            p_.names.waiting(c.index, o.name);
        c.outbox.add(o.name, o.event, o.bytes, c.fd == kNoFd ? now_ms() : 0);
    }
    p_.names.delivered(p_.fold.event_number());
    XSGIT_CRASH_POINT("recover.outboxes");
    p_.fold.start([names = &p_.names](std::uint64_t conn) { return names->sent_up_to(conn); });

    // The committer makes room meanwhile.
    const auto take = [&](int fd) {
        for (take_in(fd); unadmitted_; usleep(kRetryUs))
            admit(std::move(unadmitted_));
    };
    for (reap(); !lost_.empty(); reap())
        usleep(kRetryUs);
    if (!p_.settings.empty()) {
        Event e;
        e.kind = EventKind::Settings;
        e.facts = p_.settings;
        while (!execute(e))
            usleep(kRetryUs);
    }
    // What happened to domains while nobody looked comes before anything that they, or others, say.
    if (p_.hypervisor.rings()) {
        while (!survey())
            usleep(kRetryUs);
        introduce_present();
    }
    XSGIT_CRASH_POINT("recover.surveyed");
    // Taken, but never connected as far as the journal knows.
    for (const std::uint32_t index : strangers) {
        const int fd = p_.slots.entry(index).fd;
        p_.slots.release(index);
        take(fd);
    }
    for (const int fd : orphans)
        take(fd);
    XSGIT_CRASH_POINT("recover.strangers");
    std::vector<Connection *> everybody;
    for (auto &[id, c] : clients_)
        everybody.push_back(c.get());
    for (Connection *c : everybody) {
        flush(*c);
        look(*c);
    }
}

/// False: the slot has a live socket that the state does not know yet.
bool Loop::resume_slot(std::uint32_t index, const std::vector<State::Connection> &known)
{
    const SlotEntry &entry = p_.slots.entry(index);
    SlotMemory &memory = p_.slots.memory(index);
    const bool alive = entry.cookie != 0 && socket_cookie(entry.fd) == entry.cookie;
    const State::Connection *state = find(known, memory.conn);
    if (!state || !alive || entry.state == SlotState::Closing) {
        SocketTransport transport(entry.fd);
        if (alive && !state && entry.state == SlotState::Used && memory.conn >= p_.fold.next_connection() &&
            Slot(memory, transport).untouched())
            return false;
        if (alive)
            end(entry.fd);
        p_.slots.release(index);
        return true;
    }
    auto c =
        std::make_unique<Connection>(index, memory, std::make_unique<SocketTransport>(entry.fd), entry.fd);
    c->slot.settle();
    c->slot.forget_after(p_.fold.event_number());
    // The journal has lost requests that were executed. What they did is undone, watches and replies are gone: a client
    // that goes on would not know.
    if (c->slot.request_number() > state->requests + 1) {
        end(entry.fd);
        p_.slots.release(index);
        return true;
    }
    judge_executing(*c, state->requests);
    while (c->slot.frame() == Slot::Frame::Complete && c->slot.request_number() <= state->requests)
        c->slot.consume();
    p_.names.add(c->id, index);
    epoll_event ev{};
    ev.events = c->interest = EPOLLIN;
    ev.data.u64 = c->id;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, c->fd, &ev) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    if (!memory.stored)
        store_later(*c);
    clients_.emplace(c->id, std::move(c));
    return true;
}

void Loop::judge_executing(Connection &c, std::uint64_t executed)
{
    const Slot::Executing was = c.slot.executing();
    if (was.number <= executed) {
        c.slot.set_executing({});
        return;
    }
    const unsigned blame = was.blame + p_.blame;
    c.slot.set_executing({was.number, blame});
    c.poison = blame >= kPoisonBlame;
}

} // namespace xsgit::server
