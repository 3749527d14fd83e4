// SPDX-License-Identifier: MIT
// Plays to the engine: steps become its events, and what the recording does not say is assumed so that the
// recorded reply is possible.
#include "bisect/replay/target.hpp"
#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <unordered_map>

namespace xsgit::replay {

using server::Header;

namespace {

std::string wire_of(const session::Message &m)
{
    std::string wire(kHeaderSize, '\0');
    server::write_header({m.type, m.req_id, m.tx_id, static_cast<std::uint32_t>(m.payload.size())},
                         wire.data());
    return wire + m.payload;
}

/// The name in an error reply, else empty.
std::string error_name(const session::Message *reply)
{
    if (!reply || reply->type != static_cast<std::uint32_t>(server::MsgType::Error) || reply->payload.empty())
        return {};
    return reply->payload.substr(0, reply->payload.size() - 1);
}

/// Larger ids of connections are not kept: the engine counts on from there.
constexpr std::uint64_t kConnMost = std::uint64_t{1} << 48;

/// What the domain's number was when nobody has recorded it.
std::uint64_t assumed_id(std::uint32_t domid) { return domid + 0x10000u; }

} // namespace

struct EngineTarget::Impl {
    explicit Impl(const Script &s, ChangeSink *sink)
        : state(sink), start_us(std::min(s.meta.start_us, 10 * session::kTimeMax))
    {
    }

    server::State state;
    server::Outputs outputs;
    std::uint64_t start_us, at_us = 0;
    std::unordered_map<std::size_t, std::uint64_t> conns; // by client
    std::unordered_map<std::uint64_t, std::size_t> clients;
    std::map<std::uint32_t, std::uint64_t> rings; // by domain: made by INTRODUCE, no client yet
    std::uint64_t requests = 0;

    void step(Event &e, std::vector<Received> *out)
    {
        e.number = state.event_number() + 1;
        e.mono_us = static_cast<std::int64_t>(at_us);
        e.wall_us = std::max(static_cast<std::int64_t>(start_us + at_us), state.wall_us());
        outputs.clear();
        state.step(e, outputs);
        for (const server::Order &o : outputs.orders())
            if (o.kind == server::Order::Kind::Attach)
                rings[o.domid] = o.conn;
        if (!out)
            return;
        for (const server::Output &o : outputs.items()) {
            const auto to = clients.find(o.conn);
            if (to == clients.end())
                continue; // a ring whose guest nobody recorded
            const std::string_view bytes = outputs.bytes(o);
            const Header h = server::read_header(bytes.data());
            out->push_back(
                {to->second,
                 o.event,
                 false,
                 {o.conn, h.type, h.req_id, h.tx_id, false, std::string(bytes.substr(kHeaderSize))}});
        }
    }

    std::string facts(const Event &e, const session::Message *recorded) const
    {
        const server::Needs needs = state.needs(e);
        const std::string error = error_name(recorded);
        if (needs.control)
            return !error.empty() ? "!" + error : recorded ? "+" + recorded->payload : "!EINVAL";
        std::string text;
        for (const std::uint32_t domid : needs.domids) {
            const std::uint64_t known = state.unique_id(domid);
            server::add_fact(text, {domid, true, known ? known : assumed_id(domid)});
        }
        if (needs.attach) {
            if (const auto e2 = server::named_error(error))
                server::add_failed(text, *e2);
            else
                server::add_attached(text, 1);
        }
        return text;
    }
};

EngineTarget::EngineTarget(const Script &script, ChangeSink *sink)
    : impl_(std::make_unique<Impl>(script, sink))
{
    Event start;
    start.kind = EventKind::Start;
    impl_->step(start, nullptr);
    if (script.start)
        impl_->state.load_tree(start_tree(*script.start));
}

EngineTarget::~EngineTarget() = default;

const server::State &EngineTarget::state() const noexcept { return impl_->state; }

void EngineTarget::set_time(std::uint64_t at_us) { impl_->at_us = at_us; }

void EngineTarget::open(std::size_t client, const session::Opened &who)
{
    Impl &s = *impl_;
    const std::uint32_t domid = who.domid.value_or(0);
    // As recorded, where that is possible.
    std::uint64_t conn = std::max(who.conn < kConnMost ? who.conn : 0, s.state.next_connection());
    const auto made = s.rings.find(domid);
    if (who.transport == session::Transport::Ring && made != s.rings.end()) {
        conn = made->second;
        s.rings.erase(made);
    } else {
        Event e;
        e.kind = EventKind::Connect;
        e.conn = conn;
        const std::uint64_t unique = s.state.unique_id(domid);
        const std::string facts =
            who.transport == session::Transport::Ring || domid != 0
                ? fmt::format("ring {} {:x} 1", domid, unique || domid == 0 ? unique : assumed_id(domid))
                : fmt::format("socket {} {} {} {}", domid, who.pid.value_or(0), who.uid.value_or(0),
                              who.comm);
        e.facts = facts;
        s.step(e, nullptr);
    }
    s.conns[client] = conn;
    s.clients[conn] = client;
}

void EngineTarget::close(std::size_t client, std::vector<Received> &out)
{
    Impl &s = *impl_;
    Event e;
    e.kind = EventKind::Close;
    e.conn = s.conns.at(client);
    s.clients.erase(e.conn);
    s.conns.erase(client);
    s.step(e, &out);
}

void EngineTarget::request(std::size_t client, const session::Request &r, const session::Message *recorded,
                           std::vector<Received> &out)
{
    Impl &s = *impl_;
    const std::string wire = wire_of(r);
    Event e;
    e.kind = EventKind::Request;
    e.conn = s.conns.at(client);
    e.request = ++s.requests;
    e.wire = wire;
    const std::string facts = r.facts.empty() ? s.facts(e, recorded) : r.facts;
    e.facts = facts;
    const std::size_t before = out.size();
    s.step(e, &out);
    const auto answered = [&](const Received &got) { return got.client == client && !got.event; };
    if (std::none_of(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), answered))
        out.push_back({client, false, true, {}}); // a ring that has gone
}

void EngineTarget::domains(const std::string &news, std::vector<Received> &out)
{
    Event e;
    e.kind = EventKind::Domains;
    e.facts = news;
    impl_->step(e, &out);
}

void EngineTarget::watch(const session::Watch &w)
{
    session::Request r;
    r.type = static_cast<std::uint32_t>(server::MsgType::Watch);
    r.payload = w.path + '\0' + w.token + '\0';
    if (w.depth)
        r.payload += std::to_string(*w.depth) + '\0';
    std::vector<Received> nobody_waits_for_it;
    request(static_cast<std::size_t>(w.conn), r, nullptr, nobody_waits_for_it);
}

} // namespace xsgit::replay
