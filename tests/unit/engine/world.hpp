// SPDX-License-Identifier: MIT
// An engine to talk to in tests: builds events, collects what comes out.
#pragma once

#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server::test {

/// Arguments joined with a NUL behind each.
inline std::string args(std::initializer_list<std::string_view> list)
{
    std::string s;
    for (const auto a : list)
        s.append(a).push_back('\0');
    return s;
}

struct Message {
    std::uint64_t conn;
    std::uint32_t type, tx;
    std::string payload;
};

class World {
public:
    explicit World(ChangeSink *sink = nullptr) : state(sink)
    {
        Event e;
        e.kind = EventKind::Start;
        run(e);
    }

    std::uint64_t connect(std::uint32_t domid = 0)
    {
        Event e;
        e.kind = EventKind::Connect;
        e.conn = state.next_connection();
        const std::string facts = domid == 0 ? "socket 0 77 0 test" : "ring " + std::to_string(domid);
        e.facts = facts;
        run(e);
        return e.conn;
    }
    void close(std::uint64_t conn)
    {
        Event e;
        e.kind = EventKind::Close;
        e.conn = conn;
        run(e);
    }

    /// All messages that the request caused.
    std::vector<Message> send(std::uint64_t conn, MsgType type, std::string_view payload,
                              std::uint32_t tx = 0, std::string_view facts = {})
    {
        std::string wire(kHeaderSize, '\0');
        write_header({static_cast<std::uint32_t>(type), 9, tx, static_cast<std::uint32_t>(payload.size())},
                     wire.data());
        wire.append(payload);
        Event e;
        e.kind = EventKind::Request;
        e.conn = conn;
        e.request = ++requests;
        e.wire = wire;
        e.facts = facts;
        return run(e);
    }
    /// The reply's payload without a final NUL; errors as their name.
    std::string ask(std::uint64_t conn, MsgType type, std::string_view payload, std::uint32_t tx = 0,
                    std::string_view facts = {})
    {
        events.clear();
        std::string reply = "(none)";
        for (auto &m : send(conn, type, payload, tx, facts)) {
            if (m.type == static_cast<std::uint32_t>(MsgType::WatchEvent)) {
                events.push_back(std::to_string(m.conn) + ":" + m.payload.substr(0, m.payload.find('\0')));
            } else {
                reply = m.payload;
                if (type != MsgType::Read || m.type == static_cast<std::uint32_t>(MsgType::Error))
                    if (!reply.empty() && reply.back() == '\0')
                        reply.pop_back();
            }
        }
        return reply;
    }
    std::string write(std::uint64_t c, std::string_view path, std::string_view value, std::uint32_t tx = 0)
    {
        return ask(c, MsgType::Write, args({path}) + std::string(value), tx);
    }
    std::string read(std::uint64_t c, std::string_view path, std::uint32_t tx = 0)
    {
        return ask(c, MsgType::Read, args({path}), tx);
    }
    std::uint32_t begin(std::uint64_t c)
    {
        return static_cast<std::uint32_t>(std::stoul(ask(c, MsgType::TransactionStart, args({""}))));
    }
    std::string end(std::uint64_t c, std::uint32_t tx, bool commit = true)
    {
        return ask(c, MsgType::TransactionEnd, commit ? args({"T"}) : args({"F"}), tx);
    }

    /// INTRODUCE by `conn`; gives the reply. The connection of the new ring is last_attached().
    std::string introduce(std::uint64_t conn, std::uint32_t domid, std::uint64_t unique_id = 0)
    {
        const std::string id = std::to_string(domid);
        const std::string reply =
            ask(conn, MsgType::Introduce, args({id, "1", "3"}), 0,
                id + " 1 " + std::to_string(unique_id ? unique_id : domid + 100) + ";attach 9");
        for (const Order &o : out.orders())
            if (o.kind == Order::Kind::Attach)
                attached = o.conn;
        return reply;
    }
    std::uint64_t last_attached() const { return attached; }
    /// A Domains event; its messages as events.
    void news(const std::string &facts)
    {
        Event e;
        e.kind = EventKind::Domains;
        e.facts = facts;
        events.clear();
        for (auto &m : run(e))
            events.push_back(std::to_string(m.conn) + ":" + m.payload.substr(0, m.payload.find('\0')));
    }

    std::vector<Message> run(Event e)
    {
        e.number = state.event_number() + 1;
        e.wall_us = 1'700'000'000'000'000 + 1'000'000 * seconds + static_cast<std::int64_t>(e.number);
        out.clear();
        state.step(e, out);
        std::vector<Message> messages;
        for (const Output &o : out.items()) {
            const std::string_view bytes = out.bytes(o);
            const Header h = read_header(bytes.data());
            messages.push_back({o.conn, h.type, h.tx_id, std::string(bytes.substr(kHeaderSize))});
        }
        return messages;
    }

    State state;
    Outputs out;
    std::uint64_t requests = 0, attached = 0;
    std::int64_t seconds = 0;        // on the clock of the events
    std::vector<std::string> events; // "conn:path" of the last ask(), in order
};

} // namespace xsgit::server::test
