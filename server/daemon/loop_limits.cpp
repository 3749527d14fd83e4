// SPDX-License-Identifier: MIT
// What guests are made to wait for: others' transactions that cannot succeed beside their writes, and others who have
// not taken yet what these writes have caused.
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/base/limits.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <utility>

namespace xsgit::server {
namespace {

// Of a guest's events that others have not taken, whatever the limit.
constexpr std::size_t kCausedBytes = 64u << 10;
constexpr std::int64_t kForgiveEveryMs = 200;
constexpr std::int64_t kPatienceWithGuestsMs = 1'000;
// So that somebody who reads now and then cannot hold others up again and again.
constexpr std::int64_t kLenientMs = 60'000, kLenientAgainMs = 1'000;

} // namespace

/// Whether a guest has to wait before its next request. It is not even looked at: what it wants does not matter.
bool Loop::over_limit(Connection &c)
{
    if (c.fd != kNoFd || c.domid == 0)
        return false;
    const std::int64_t now = now_ms();
    for (const std::uint32_t domid : p_.fold.take_culprits())
        penalty_.caused(domid, now);
    const std::int64_t rate = limiter_.wait_ms(c.domid, rings_.size(), now);
    const std::int64_t penalty = penalty_.wait_ms(c.domid, now);
    const std::int64_t wait = std::max(rate, penalty);
    if (wait == 0)
        return false;
    limited_until_ms_ = limited_.empty() ? now + wait : std::min(limited_until_ms_, now + wait);
    p_.log.warning(fmt::format("write rate of domain {}", c.domid),
                   fmt::format("write rate limit: domain {} is affected: {}", c.domid,
                               penalty != 0 ? "its writes make transactions of the control domain fail"
                                            : "it writes too much while others have transactions open"));
    return true;
}

void Loop::charge(const Connection &c, std::uint64_t commits_before)
{
    if (c.fd != kNoFd || c.domid == 0 || p_.fold.commits() == commits_before ||
        p_.fold.open_transactions() == 0)
        return;
    limiter_.charge(c.domid, rings_.size(), now_ms());
    penalty_.wrote(c.domid, now_ms());
    p_.trace.credit(c.domid, limiter_.credit(c.domid), limiter_.reserve());
}

/// Whether a transaction of the control domain's came to a good end.
void Loop::note_success(const Connection &c, const Event &e)
{
    if (c.fd == kNoFd && c.domid != 0)
        return;
    if (static_cast<MsgType>(read_header(e.wire.data()).type) != MsgType::TransactionEnd ||
        e.wire.substr(kHeaderSize, 1) != "T")
        return;
    for (const Output &o : out_.items())
        if (o.conn == c.id && !o.event &&
            static_cast<MsgType>(read_header(out_.bytes(o).data()).type) == MsgType::TransactionEnd)
            penalty_.succeeded();
}

/// They are limited again if it is too early still.
void Loop::release_limited()
{
    for (Connection *c : std::exchange(limited_, {})) {
        c->held = false;
        look(*c);
    }
}

/// Requests of a guest whose answers it has not taken, or whose events others have not.
std::size_t Loop::outstanding(const Connection &c) const
{
    return c.unsent_replies() + caused_.load(c.id).requests;
}

/// Whether it, or those who hear of what it does, have to take what we have before we do more for it.
bool Loop::overdue(const Connection &c) const
{
    if (c.outbox.bytes() > kOutputStall)
        return true;
    // Of sockets, and of the control domain, we rather buffer much: others wait for what they do.
    if (c.fd != kNoFd || c.domid == 0)
        return false;
    const std::size_t requests = outstanding(c);
    if (requests == 0)
        return false;
    const std::uint32_t limit = p_.fold.outstanding_limit(c.domid);
    return limit != 0 && (requests >= limit || caused_.load(c.id).bytes > kCausedBytes);
}

/// How long events may wait for it before they count against nobody any more.
std::int64_t Loop::patience_ms(const Connection &c) const
{
    const bool privileged = c.fd != kNoFd || c.domid == 0;
    if (!privileged)
        return kPatienceWithGuestsMs;
    return p_.event_timeout_ms != 0 ? p_.event_timeout_ms : INT64_MAX / 2;
}

/// After a try to send: what is left waits, and counts.
void Loop::count_caused(Connection &c)
{
    if (c.outbox.empty())
        return;
    if (c.lenient_until_ms != 0) {
        const std::int64_t now = now_ms();
        if (now >= c.lenient_until_ms && c.outbox.oldest_ms() < now - patience_ms(c))
            c.lenient_until_ms = now + kLenientAgainMs; // it has not even taken that yet
        if (now < c.lenient_until_ms) {
            c.outbox.count_no_more();
            return settle_caused(c);
        }
        c.lenient_until_ms = 0;
    }
    const std::vector<Outbox::Caused> waiting = c.outbox.take_waiting();
    if (waiting.empty())
        return;
    for (const Outbox::Caused &e : waiting)
        caused_.waits(e.event, e.by, e.bytes);
    const std::int64_t now = now_ms();
    if (c.outbox.counted() == waiting.size())
        c.held_up.begin(now);
    if (c.counting)
        return;
    c.counting = true;
    if (counting_.empty())
        forgive_again_ms_ = now + kForgiveEveryMs;
    counting_.push_back(&c);
}

void Loop::settle_caused(Connection &c)
{
    for (const Outbox::Caused &e : c.outbox.take_gone())
        if (const std::uint64_t by = caused_.gone(e.event, e.bytes); by != 0)
            lighter_.push_back(by);
}

/// Somebody who takes nothing holds nobody up for long: a guest that stops reading what another one does, or a client
/// that somebody has stopped. What it misses then is its own.
void Loop::forgive_caused()
{
    const std::int64_t now = now_ms();
    forgive_again_ms_ = now + kForgiveEveryMs;
    std::erase_if(counting_, [&](Connection *c) {
        const std::int64_t oldest = c->outbox.oldest_counted_ms();
        const std::int64_t patience = patience_ms(*c);
        if (oldest != INT64_MAX && oldest >= now - patience && !c->held_up.too_long(now, patience))
            return false;
        if (oldest != INT64_MAX) {
            c->outbox.count_no_more();
            settle_caused(*c);
            c->lenient_until_ms = now + kLenientMs;
            p_.log.warning(
                "slow-reader",
                fmt::format("connection {} (domain {}) does not take its watch events; those who cause "
                            "them do not wait for it any longer",
                            c->id, c->domid));
        }
        c->counting = false;
        return true;
    });
}

/// Those whose load is less now are read again.
void Loop::go_on()
{
    while (!lighter_.empty()) {
        const auto it = clients_.find(lighter_.back());
        lighter_.pop_back();
        if (it == clients_.end() || !it->second->stalled || overdue(*it->second))
            continue;
        it->second->stalled = false;
        look(*it->second);
        watch(*it->second);
    }
}

} // namespace xsgit::server
