// SPDX-License-Identifier: MIT
// Rings come, go, and outlive a server.
#include "server/daemon/clock.hpp"
#include "server/daemon/domain_news.hpp"
#include "server/daemon/loop.hpp"
#include "server/daemon/ring_transport.hpp"
#include "server/engine/domain.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <stdexcept>
#include <unistd.h>
#include <unordered_set>

namespace xsgit::server {

namespace {

constexpr useconds_t kRetryUs = 1000;
constexpr std::int64_t kBindPatienceMs = 2000;

/// Compilers may not put off what a successor reads.
template <class T>
void publish(T &where, T value) noexcept
{
    std::atomic_signal_fence(std::memory_order_seq_cst);
    *const_cast<volatile T *>(&where) = value;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

bool may_be_same(std::uint64_t a, std::uint64_t b) noexcept { return a == 0 || b == 0 || a == b; }

/// Whether the event channel of an earlier process is connected to the very port of the domain that it was connected to.
/// The hypervisor closes the ports of a domain that ends, so it is that domain, whatever id the toolstack has given it.
/// (Another one of its number would have to connect itself to our port from the same port of its own, before there was a
/// store that it could be introduced to.)
bool holds(RingHost &host, const SlotMemory &slot, const State::Connection &c)
{
    const RingRecord &r = slot.ring;
    return host.inherited() && slot.conn == c.id && r.local != 0 && host.peer(r.local, c.domid) == r.remote &&
           host.ours(r.local);
}

RingTransport &transport_of(Connection &c) { return static_cast<RingTransport &>(*c.transport); }

/// The last process of an earlier daemon may be ending just now, its ports still bound: it is waited for until then, not
/// for each domain. A port that its guest has closed is bound by nobody. 0: in vain.
std::uint32_t bind_patiently(RingHost &host, std::uint32_t domid, std::uint32_t remote, std::int64_t until_ms)
{
    constexpr useconds_t kPauseUs = 20'000;
    for (;;) {
        if (const auto local = host.bind(domid, remote))
            return *local;
        if (now_ms() >= until_ms)
            return 0;
        usleep(kPauseUs);
    }
}

} // namespace

// ---- introduction ------------------------------------------------------------------------------

/// A slot with the domain's page mapped and its port bound, so that nothing can fail once the state knows the ring.
Result<Loop::PendingRing> Loop::prepare_ring(std::uint32_t domid, std::uint32_t port, std::uint64_t conn)
{
    RingHost &host = *p_.hypervisor.rings();
    const auto known = ring_of_.find(domid);
    if (known == ring_of_.end() && rings_.size() >= p_.ring_limit)
        return fail(Error::Enospc);
    const auto page = host.map(domid);
    if (!page)
        return fail(page.error());
    const std::uint32_t named = load_word((*page)->evtchn_port), remote = named != 0 ? named : port;
    std::uint32_t local = 0;
    bool fresh = false;
    // A domain that is introduced again has often kept its port: then it is ours already, and cannot be bound again.
    if (known != ring_of_.end())
        if (const RingRecord &r = transport_of(*known->second).record(); host.peer(r.local, domid) == remote)
            local = r.local;
    if (local == 0) {
        const auto bound = host.bind(domid, remote);
        if (!bound) {
            host.unmap(domid, *page);
            return fail(bound.error());
        }
        local = *bound;
        fresh = true;
    }
    XSGIT_CRASH_POINT("introduce.bound");
    const auto slot = p_.slots.take(kNoFd, 0, conn, domid, "ring");
    if (!slot) {
        host.unmap(domid, *page);
        if (fresh)
            host.unbind(local);
        p_.log.error("ring",
                     fmt::format("no room for the ring of domain {} in the file of slots; refused", domid));
        return fail(Error::Enospc);
    }
    RingRecord &r = p_.slots.memory(*slot).ring;
    r.remote = remote;
    publish(r.local, local);
    XSGIT_CRASH_POINT("introduce.reserved");
    return PendingRing{*slot, domid, local, *page};
}

void Loop::give_back_pending()
{
    if (!pending_ring_)
        return;
    const PendingRing r = *std::exchange(pending_ring_, std::nullopt);
    RingHost &host = *p_.hypervisor.rings();
    p_.slots.release(r.slot);
    host.unmap(r.domid, r.page);
    if (!rings_.contains(r.local))
        host.unbind(r.local);
}

/// Facts of an INTRODUCE.
void Loop::attach(const Needs::Ring &wanted, std::string &facts)
{
    if (!p_.hypervisor.rings())
        return add_attached(facts, 0);
    const auto ring = prepare_ring(wanted.domid, wanted.port, 0);
    if (!ring)
        return add_failed(facts, ring.error());
    pending_ring_ = *ring;
    add_attached(facts, ring->local);
}

/// The slot names its connection.
Connection &Loop::take_ring(const PendingRing &r)
{
    SlotMemory &memory = p_.slots.memory(r.slot);
    auto c = std::make_unique<Connection>(
        r.slot, memory, std::make_unique<RingTransport>(*r.page, memory.ring, *p_.hypervisor.rings()), kNoFd);
    transport_of(*c).open();
    p_.names.add(c->id, r.slot);
    rings_[r.local] = c.get();
    ring_of_[r.domid] = c.get();
    p_.trace.connected(c->id);
    return *clients_.insert_or_assign(c->id, std::move(c)).first->second;
}

void Loop::carry_out(const Order &o)
{
    if (!p_.hypervisor.rings())
        return;
    if (o.kind == Order::Kind::Detach) {
        if (const auto it = clients_.find(o.conn); it != clients_.end())
            detach(*it->second);
        return;
    }
    if (!pending_ring_ || pending_ring_->domid != o.domid)
        return;
    const PendingRing ring = *std::exchange(pending_ring_, std::nullopt);
    SlotMemory &memory = p_.slots.memory(ring.slot);
    memory.ring.features = o.features;
    publish(memory.ring.stage, RingStage::Taken);
    XSGIT_CRASH_POINT("introduce.taken");
    publish(memory.conn, o.conn);
    XSGIT_CRASH_POINT("introduce.named");
    Connection &c = take_ring(ring);
    if (c.domid == 0) // its kernel waits for a first sign of life
        transport_of(c).ring();
    c.ready = true; // it may have written already
    ready_.push_back(&c);
}

void Loop::detach(Connection &c)
{
    RingHost &host = *p_.hypervisor.rings();
    const std::uint32_t local = transport_of(c).record().local;
    RingPage *const page = &transport_of(c).page();
    const std::uint32_t domid = c.domid;
    if (const auto it = rings_.find(local); it != rings_.end() && it->second == &c)
        rings_.erase(it);
    if (const auto it = ring_of_.find(domid); it != ring_of_.end() && it->second == &c)
        ring_of_.erase(it);
    XSGIT_CRASH_POINT("detach.begun");
    remove(c);
    XSGIT_CRASH_POINT("detach.removed");
    host.unmap(domid, page);
    if (!rings_.contains(local) && !(pending_ring_ && pending_ring_->local == local))
        host.unbind(local);
}

// ---- after a start -----------------------------------------------------------------------------

void Loop::resume_rings(const std::vector<std::uint32_t> &slots, const std::vector<State::Connection> &known)
{
    RingHost *const host = p_.hypervisor.rings();
    // By domid and connection; 0: reserved for the domain, by an introduction.
    std::multimap<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> unclaimed;
    for (const std::uint32_t index : slots)
        unclaimed.emplace(std::pair(p_.slots.memory(index).domid, p_.slots.memory(index).conn), index);
    const auto claim = [&](const State::Connection &c) -> std::optional<std::uint32_t> {
        auto it = unclaimed.find({c.domid, c.id});
        if (it == unclaimed.end())
            it = unclaimed.find({c.domid, 0});
        if (it == unclaimed.end())
            return std::nullopt;
        return unclaimed.extract(it).mapped();
    };
    if (host) {
        bind_until_ms_ = host->inherited() ? 0 : now_ms() + kBindPatienceMs;
        const auto present = host->domains();
        if (!present)
            throw std::runtime_error("the hypervisor does not list its domains; is this the control domain?");
        for (const State::Connection &c : known) {
            if (!c.ring)
                continue;
            const auto slot = claim(c);
            const auto d =
                std::lower_bound(present->begin(), present->end(), c.domid,
                                 [](const PresentDomain &p, std::uint32_t n) { return p.domid < n; });
            // Gone, or another one by now: the first survey tells the state.
            const bool present_now = d != present->end() && d->domid == c.domid && !d->dying;
            const bool there = present_now && (may_be_same(d->unique_id, c.unique_id) ||
                                               (slot && holds(*host, p_.slots.memory(*slot), c)));
            const bool certain = there && (c.domid == 0 || (d->unique_id != 0 && c.unique_id != 0));
            if (slot && (!there || !resume_ring(slot, c, certain)))
                p_.slots.release(*slot);
            if (!slot && there)
                resume_ring(std::nullopt, c, certain);
        }
    }
    for (const auto &[key, index] : unclaimed)
        p_.slots.release(index);
    if (!host)
        return;
    std::vector<std::uint32_t> keep;
    for (const auto &[local, c] : rings_)
        keep.push_back(local);
    host->unbind_others(keep);
    // What has rung is looked at anyway. Taken first, so that no event is there twice. A port that is taken can ring again:
    // as many events as there are ports are those from before, and those of a guest that rings without end can wait.
    std::unordered_set<std::uint32_t> taken;
    for (std::size_t n = 0; n <= rings_.size(); n += rung_.ports.size()) {
        host->pending(rung_);
        taken.insert(rung_.ports.begin(), rung_.ports.end());
        if (rung_.lost)
            taken.clear();
        if (rung_.ports.empty())
            break;
    }
    for (const auto &[local, c] : rings_)
        if (!taken.contains(local))
            host->unmask(local);
}

/// Goes on with the ring of a domain that is there still. `certain`: it is the same domain for sure. False: it cannot
/// be served; the slot is not needed.
bool Loop::resume_ring(std::optional<std::uint32_t> slot, const State::Connection &state, bool certain)
{
    RingHost &host = *p_.hypervisor.rings();
    const std::uint32_t domid = state.domid;
    const auto page = host.map(domid);
    if (!page) {
        p_.log.error("ring", fmt::format("the ring of domain {} cannot be mapped; it is not served", domid));
        return false;
    }
    std::uint32_t local = 0, remote = 0;
    if (slot) {
        const RingRecord &r = p_.slots.memory(*slot).ring;
        remote = r.remote;
        if (const auto peer = r.local != 0 ? host.peer(r.local, domid) : std::nullopt;
            peer && (certain || *peer == remote) && host.ours(r.local)) {
            local = r.local;
            remote = *peer;
        }
    }
    if (remote == 0) {
        const std::uint32_t named = load_word((*page)->evtchn_port);
        remote = named != 0 ? named : state.port;
    }
    if (local == 0)
        local = host.find_bound(domid, remote).value_or(0);
    // Its port is not ours any more (all processes had died): the same domain keeps it for us, another one must not
    // be taken for it.
    if (local == 0 && certain)
        local = bind_patiently(host, domid, remote, bind_until_ms_);
    if (local == 0) {
        p_.log.error("ring", fmt::format("the event channel of domain {} is lost; it is not served", domid));
        host.unmap(domid, *page);
        return false;
    }
    const bool had_slot = slot.has_value();
    if (!slot)
        slot = p_.slots.take(kNoFd, 0, state.id, domid, "ring");
    if (!slot) {
        host.unmap(domid, *page);
        return false;
    }
    SlotMemory &memory = p_.slots.memory(*slot);
    RingRecord &r = memory.ring;
    r.remote = remote;
    r.features = state.features;
    publish(r.local, local);
    if (!had_slot) // whatever it knew is lost; the indexes are not to be guessed
        publish(r.stage, RingStage::Serving);
    else if (r.stage == RingStage::Reserved)
        publish(r.stage, RingStage::Taken);
    publish(memory.conn, state.id);
    Connection &c = take_ring({*slot, domid, local, *page});
    c.slot.settle();
    c.slot.forget_after(p_.fold.event_number());
    c.ignored = c.deaf = state.ignored;
    judge_executing(c, state.requests);
    while (c.slot.frame() == Slot::Frame::Complete && c.slot.request_number() <= state.requests)
        c.slot.consume();
    return true;
}

/// Rings that were there before us: the control domain's; and at our very first start those of domains whose page names
/// its port (no toolstack introduces them). Then every ring is rung once: the last event of an earlier
/// process may not have left, and the control domain's kernel waits for the first one.
void Loop::introduce_present()
{
    RingHost &host = *p_.hypervisor.rings();
    const std::vector<State::Connection> known = p_.fold.connections();
    const bool first_time =
        std::none_of(known.begin(), known.end(), [](const auto &c) { return c.ring && c.domid == 0; });
    if (first_time) {
        // The control domain's last: if a start dies before that, the next one is the first one still.
        for (const PresentDomain &d : host.domains().value_or(std::vector<PresentDomain>()))
            if (d.domid != 0 && !d.dying && std::none_of(known.begin(), known.end(), [&](const auto &c) {
                    return c.ring && c.domid == d.domid;
                }))
                connect_ring(d.domid, 0, false);
        connect_ring(0, host.control_port(), true);
    }
    for (const auto &[local, c] : rings_)
        transport_of(*c).ring();
    rings_due_ms_ = now_ms() + p_.ring_scan_ms;
    scan_later();
}

/// `port` 0: the one that the page names. False: there is none, or it cannot be had.
bool Loop::connect_ring(std::uint32_t domid, std::uint32_t port, bool required)
{
    const auto ring = [&]() -> Result<PendingRing> {
        if (port == 0) {
            RingHost &host = *p_.hypervisor.rings();
            const auto page = host.map(domid);
            if (!page)
                return fail(page.error());
            const std::uint32_t named = load_word((*page)->evtchn_port);
            host.unmap(domid, *page);
            if (named == 0)
                return fail(Error::Enoent);
        }
        return prepare_ring(domid, port, p_.fold.next_connection());
    }();
    if (!ring) {
        if (required)
            throw std::runtime_error(fmt::format(
                "cannot connect to the ring of domain {} (port {}): {}; is another xenstored running?", domid,
                port, wire_name(ring.error())));
        return false;
    }
    SlotMemory &memory = p_.slots.memory(ring->slot);
    const DomainFact fact = p_.hypervisor.domain(domid);
    const std::string facts = fmt::format("ring {} {:x} {}", domid, fact.unique_id, memory.ring.remote);
    Event e;
    e.kind = EventKind::Connect;
    e.conn = memory.conn;
    e.facts = facts;
    memory.ring.features = kFeatures;
    // Of the control domain nothing is reset: its kernel may have begun. The others wait for the word that is
    // theirs.
    publish(memory.ring.stage, domid == 0 ? RingStage::Serving : RingStage::Reset);
    while (!execute(e))
        usleep(kRetryUs);
    store_word(ring->page->server_features, kFeatures);
    take_ring(*ring);
    return true;
}

// ---- while serving -----------------------------------------------------------------------------

void Loop::rang()
{
    p_.hypervisor.rings()->pending(rung_);
    XSGIT_CRASH_POINT("ring.rung");
    if (rung_.lost) {
        for (const auto &[local, c] : rings_)
            p_.hypervisor.rings()->unmask(local);
        scan_again_ms_ = 0;
    }
    if (rung_.domains)
        survey_due_ = !survey();
    for (const std::uint32_t port : rung_.ports)
        if (const auto it = rings_.find(port); it != rings_.end())
            wake(*it->second);
}

/// The other side has written, or read, or neither.
void Loop::wake(Connection &c)
{
    if (c.ignored)
        return;
    c.full = false;
    flush(c);
    look(c);
}

/// The indexes of a ring contradict each other. A kernel that begins anew sets them one by one, and we may have looked in
/// between: they are looked at once more.
void Loop::doubt(Connection &c)
{
    if (c.fd != kNoFd)
        return misbehaved(c, RingError::Index);
    if (c.doubted || c.ignored)
        return;
    c.doubted = true;
    doubted_.emplace_back(c.id, now_ms());
}

void Loop::look_again()
{
    const std::int64_t now = now_ms();
    while (!doubted_.empty() && doubted_.front().second + kDoubtMs <= now) {
        const auto it = clients_.find(doubted_.front().first);
        doubted_.pop_front();
        if (it == clients_.end())
            continue;
        Connection &c = *it->second;
        c.doubted = false;
        wake(c);
        if (!c.doubted)
            continue;
        doubted_.pop_back(); // wake() has put it there
        c.doubted = false;
        misbehaved(c, RingError::Index);
    }
}

/// False: try again.
bool Loop::survey()
{
    const auto present = p_.hypervisor.rings()->domains();
    if (!present) {
        p_.log.error("domains", "the hypervisor does not list its domains; trying again");
        return false;
    }
    std::vector<std::uint32_t> held;
    for (const auto &[local, c] : rings_)
        held.push_back(c->domid);
    std::sort(held.begin(), held.end());
    for (const std::string &facts : news_of(p_.fold.domains(), *present, held)) {
        Event e;
        e.kind = EventKind::Domains;
        e.facts = facts;
        if (!execute(e))
            return false;
    }
    return true;
}

void Loop::scan_later()
{
    scan_again_ms_ = now_ms() + kRingScanMs;
    if (p_.ring_scan_ms != 0)
        scan_again_ms_ = std::min(scan_again_ms_, rings_due_ms_);
}

void Loop::scan()
{
    const std::int64_t now = now_ms();
    const bool everybody = scan_again_ms_ == 0 || (p_.ring_scan_ms != 0 && now >= rings_due_ms_);
    if (everybody)
        rings_due_ms_ = now + p_.ring_scan_ms;
    scan_later();
    std::vector<Connection *> all;
    for (const auto &[local, c] : rings_)
        all.push_back(c);
    for (Connection *c : all) {
        if (everybody)
            wake(*c);
        if (p_.event_timeout_ms == 0 || c->domid == 0 || c->outbox.empty())
            continue;
        if (const std::size_t n = c->outbox.expire(now - p_.event_timeout_ms); n != 0) {
            p_.log.warning("events-expired",
                           fmt::format("domain {} does not read: {} watch events are dropped", c->domid, n));
            settle_caused(*c);
            if (c->outbox.empty())
                p_.names.nothing_waits(c->index);
            else
                p_.names.waiting(c->index, c->outbox.front());
        }
    }
}

} // namespace xsgit::server
