// SPDX-License-Identifier: MIT
// Requests in, messages out.
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"
#include "xsgit/base/crash_point.hpp"
#include "xsgit/base/limits.hpp"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>

namespace xsgit::server {

namespace {

/// Requests executed between two looks at the sockets. Larger is cheaper, smaller is fairer to those that arrive.
constexpr int kBurst = 64;
/// Pieces of one request taken in a turn: somebody who trickles bytes does not hold up the others.
constexpr int kPieces = 16;
/// Requests that ended the server and are kept for its developers.
constexpr int kPoisonFiles = 16;

/// Whether what the request makes others be told counts against its guest.
bool counts(const Connection &c, const Event &e)
{
    return c.fd == kNoFd && c.domid != 0 && e.kind == EventKind::Request && e.wire.size() >= kHeaderSize;
}

int count_files(const std::string &dir, std::string_view prefix)
{
    int n = 0;
    if (DIR *d = opendir(dir.c_str())) {
        while (const dirent *entry = readdir(d))
            n += std::string_view(entry->d_name).starts_with(prefix);
        closedir(d);
    }
    return n;
}

} // namespace

void Loop::readable(Connection &c)
{
    if (c.closing || c.stalled || c.held || c.ready || c.ignored)
        return;
    switch (c.slot.receive()) {
    case Slot::Receive::Data:
        return look(c);
    case Slot::Receive::Empty:
        return;
    case Slot::Receive::End:
        return close(c);
    case Slot::Receive::Broken:
        return doubt(c);
    }
}

/// Puts the connection on the list if it has work for us.
void Loop::look(Connection &c)
{
    for (int pieces = 0; !c.ready && !c.closing && !c.stalled && !c.held && !c.ignored; ++pieces) {
        const Slot::Frame frame = c.slot.frame();
        if (frame == Slot::Frame::TooLong) {
            p_.log.warning("too-long", fmt::format("connection {} (domain {}): request of more than {} bytes",
                                                   c.id, c.domid, kPayloadMax));
            return misbehaved(c, RingError::Protocol);
        }
        if (frame == Slot::Frame::Complete || (pieces >= kPieces && c.transport->more())) {
            c.ready = true;
            ready_.push_back(&c);
            return;
        }
        if (!c.transport->more())
            return c.transport->nudge();
        const Slot::Receive received = c.slot.receive();
        if (received == Slot::Receive::Broken)
            return doubt(c);
        if (received == Slot::Receive::End)
            return close(c);
    }
}

void Loop::serve()
{
    for (int n = 0; n < kBurst && !ready_.empty(); ++n) {
        Connection &c = *ready_.front();
        ready_.pop_front();
        c.ready = false;
        if (c.closing || c.ignored)
            continue;
        if (overdue(c))
            flush(c);
        if (overdue(c)) {
            c.stalled = true;
            tell_stall(c);
            watch(c);
        } else if (over_limit(c)) {
            c.held = true;
            limited_.push_back(&c);
        } else if (c.slot.frame() == Slot::Frame::Complete && !execute(c)) {
            c.held = true;
            held_.push_back(&c);
            watch(c);
        }
        look(c);
        // Somebody who waits for this reply gets it now; who has sent more gets several together.
        if (!c.ready)
            flush(c);
    }
}

bool Loop::execute(Connection &c)
{
    Event e;
    e.kind = c.poison ? EventKind::Poison : EventKind::Request;
    e.conn = c.id;
    e.request = c.slot.request_number();
    e.wire = c.slot.request();
    const std::optional<std::string> facts = c.poison ? std::string() : find_facts(e, c);
    if (!facts)
        return false;
    e.facts = *facts;
    p_.trace.in(c.id, c.domid, e.wire);
    const Slot::Executing before = c.slot.executing();
    c.slot.set_executing({e.request, before.blame});
    XSGIT_CRASH_POINT("request.marked");
    const std::uint64_t commits = p_.fold.commits();
    cause_ = counts(c, e) ? c.id : 0;
    const bool done = execute(e);
    cause_ = 0;
    charge(c, commits);
    if (done && e.kind == EventKind::Request)
        note_success(c, e);
    give_back_pending(); // what INTRODUCE had prepared, if the state did not want it
    if (!done) {
        c.slot.set_executing(before);
        return false;
    }
    XSGIT_CRASH_POINT("request.executed");
    c.slot.set_executing({});
    if (c.poison)
        keep_poison(e);
    c.poison = false;
    c.slot.consume();
    XSGIT_CRASH_POINT("request.consumed");
    return true;
}

bool Loop::execute(Event &e)
{
    out_.clear();
    if (!p_.fold.execute(e, out_))
        return false;
    XSGIT_CRASH_POINT("event.executed");
    for (const Order &o : out_.orders())
        carry_out(o);
    XSGIT_CRASH_POINT("event.carried-out");
    if (!out_.refusals().empty())
        tell_refusals();
    deliver(e.number);
    return true;
}

/// Nullopt: not yet.
std::optional<std::string> Loop::find_facts(const Event &e, Connection &c)
{
    std::string facts;
    const Needs needs = p_.fold.needs(e);
    if (needs.control)
        return p_.control.serve(e.wire.substr(kHeaderSize), c.control_wait);
    bool exists = true, outdated = false;
    for (const std::uint32_t domid : needs.domids) {
        const DomainFact f = p_.hypervisor.domain(domid);
        const std::uint64_t known = p_.fold.unique_id(domid);
        outdated |= known != 0 && (!f.exists || (f.unique_id != 0 && f.unique_id != known));
        add_fact(facts, f);
        exists = f.exists;
    }
    // A toolstack may speak of the next domain of a number before we have heard of the last one's end.
    if (outdated && (c.fd != kNoFd || c.domid == 0) && p_.hypervisor.rings() && !survey())
        return std::nullopt;
    if (needs.attach && exists)
        attach(*needs.attach, facts);
    if (needs.outstanding) {
        std::size_t n = 0;
        if (const auto ring = ring_of_.find(*needs.outstanding); ring != ring_of_.end())
            n = outstanding(*ring->second);
        else if (*needs.outstanding == kDomidAny)
            for (const auto &[domid, other] : ring_of_)
                n = std::max(n, domid == 0 ? 0 : outstanding(*other));
        add_outstanding(facts, n);
    }
    return facts;
}

void Loop::tell_refusals()
{
    for (const Refusal &r : out_.refusals()) {
        if (r.kind == Refusal::Kind::Fixed) {
            p_.log.warning(fmt::format("limit on {}", r.limit),
                           fmt::format("connection {} (domain {}) wants more than {} {}; refused", r.conn,
                                       r.domid, r.value, r.limit));
            continue;
        }
        const std::string use = r.kind == Refusal::Kind::Refused ? "has reached"
                                : r.kind == Refusal::Kind::Above
                                    ? fmt::format("has {} bytes, beyond", r.used)
                                    : fmt::format("has {} bytes, again within", r.used);
        p_.log.warning(fmt::format("quota {} of domain {}", r.limit, r.domid),
                       fmt::format("domain {} {} its quota {} = {}; xenstore-control quota {} shows its use",
                                   r.domid, use, r.limit, r.value, r.domid));
    }
}

/// A guest is not read any more, for others wait for it or it for itself.
void Loop::tell_stall(const Connection &c)
{
    const std::uint32_t limit = p_.fold.outstanding_limit(c.domid);
    if (c.fd != kNoFd || c.domid == 0 || limit == 0 || outstanding(c) < limit)
        return;
    p_.log.warning(
        fmt::format("quota outstanding of domain {}", c.domid),
        fmt::format(
            "domain {} has reached its quota outstanding = {}; it waits until answers, or events that it "
            "caused, are taken",
            c.domid, limit));
}

void Loop::keep_poison(const Event &e)
{
    p_.log.error(
        "poison",
        fmt::format("request {} of connection {} ended the server repeatedly; answered EIO as event {}",
                    e.request, e.conn, e.number));
    if (count_files(p_.state_dir, "poison-") >= kPoisonFiles)
        return;
    const std::string path = fmt::format("{}/poison-{}", p_.state_dir, e.number);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd)
        (void)!write(fd.get(), e.wire.data(), e.wire.size());
}

void Loop::deliver(std::uint64_t event)
{
    std::uint32_t index = 0;
    Connection *c = nullptr;
    for (const Output &o : out_.items()) {
        const OutputName name{event, index++};
        if (!c || c->id != o.conn) {
            const auto it = clients_.find(o.conn);
            if (it == clients_.end()) {
                c = nullptr;
                continue;
            }
            c = it->second.get();
        }
        p_.trace.out(c->id, c->domid, out_.bytes(o));
        if (c->deaf)
            continue;
        const bool first = c->outbox.empty();
        const std::uint64_t by = o.event && c->id != cause_ ? cause_ : 0;
        const std::int64_t now = o.event && (by != 0 || c->fd == kNoFd) ? now_ms() : 0;
        if (c->outbox.add(name, o.event, out_.bytes(o), now, by) == Outbox::Added::Dropped)
            p_.log.warning("events-dropped",
                           fmt::format("connection {} does not read; its watch events are dropped", c->id));
        if (first && !c->outbox.empty())
            p_.names.waiting(c->index, name);
        if (!c->dirty) {
            c->dirty = true;
            dirty_.push_back(c);
        }
    }
    p_.names.delivered(event);
}

void Loop::flush(Connection &c)
{
    if (c.full || c.deaf) {
        count_caused(c);
        return c.transport->nudge();
    }
    Slot::Send result = c.slot.send();
    while (result == Slot::Send::Done && !c.outbox.empty()) {
        if (c.outbox.counted() > 0)
            c.held_up.took(now_ms(), patience_ms(c));
        const Outbox::Batch batch = c.outbox.take(c.slot.buffer(), Slot::buffer_size());
        XSGIT_CRASH_POINT("send.batched");
        result = c.slot.start_batch(batch.bytes, batch.last);
        if (c.outbox.empty())
            p_.names.nothing_waits(c.index);
        else
            p_.names.waiting(c.index, c.outbox.front());
    }
    if (result == Slot::Send::Gone)
        return make_deaf(c);
    if (result == Slot::Send::Broken)
        return doubt(c);
    c.transport->nudge();
    c.full = result == Slot::Send::Full;
    count_caused(c);
    settle_caused(c);
    if (c.stalled && c.outbox.bytes() <= kOutputStall / 2 && !overdue(c)) {
        c.stalled = false;
        look(c);
    }
    watch(c);
}

void Loop::flush_dirty()
{
    for (Connection *c : dirty_) {
        c->dirty = false;
        flush(*c);
    }
    dirty_.clear();
}

/// Nobody will read what we send, but what was sent to us still counts.
void Loop::make_deaf(Connection &c)
{
    if (c.deaf)
        return;
    c.deaf = true;
    c.outbox.clear();
    settle_caused(c);
    p_.names.nothing_waits(c.index);
    c.full = c.stalled = false;
    look(c);
    watch(c);
}

/// The other side broke the protocol. A socket is closed; a guest is not served any more, but stays connected, so that
/// its end is told in due time. Others do not notice.
void Loop::misbehaved(Connection &c, RingError why)
{
    if (c.ignored || c.closing)
        return;
    if (!c.transport->refuse(why))
        return close(c);
    p_.log.warning("misbehaved",
                   fmt::format("domain {} broke the ring protocol ({}); it is ignored from now on", c.domid,
                               why == RingError::Index ? "index" : "length of a request"));
    c.ignored = true;
    make_deaf(c);
    offenders_.emplace_back(c.id, why);
    tell_misbehaviour();
}

/// False: the journal has no room now.
bool Loop::tell_misbehaviour()
{
    while (!offenders_.empty()) {
        const auto [conn, why] = offenders_.back();
        const std::string code = std::to_string(static_cast<std::uint32_t>(why));
        Event e;
        e.kind = EventKind::Ignore;
        e.conn = conn;
        e.facts = code;
        if (clients_.contains(conn) && !execute(e))
            return false;
        offenders_.pop_back();
    }
    return true;
}

} // namespace xsgit::server
