// SPDX-License-Identifier: MIT
// One state per connection: two streams and what waits for an answer.
#include "bisect/record/recorder.hpp"

#include <fmt/core.h>

namespace xsgit::record {

namespace {

constexpr auto kEvent = static_cast<std::uint32_t>(server::MsgType::WatchEvent);

const char *name(From from) { return from == From::Client ? "client" : "daemon"; }

} // namespace

void Recorder::known(const session::Opened &opened)
{
    connections_.emplace(opened.conn, Connection{{}, ConnectionRedaction(redaction_, opened.domid)});
}

void Recorder::opened(std::uint64_t at_us, const session::Opened &opened)
{
    known(opened);
    file_.add(at_us, opened);
}

void Recorder::bytes(std::uint64_t at_us, std::uint64_t conn, From from, std::string_view bytes)
{
    MessageStream &stream = connections_.at(conn).streams[static_cast<int>(from)];
    const bool was_lost = stream.lost();
    stream.feed(bytes, [&](const server::Header &h, std::string_view payload) {
        message(at_us, from, {conn, h.type, h.req_id, h.tx_id, false, std::string(payload)});
    });
    if (stream.lost() && !was_lost)
        file_.add(at_us, session::Note{fmt::format(
                             "c{}: from here on what its {} sends is not recorded: it announced a "
                             "message of {} bytes, and {} are the most",
                             conn, name(from), stream.announced(), kPayloadMax)});
}

void Recorder::message(std::uint64_t at_us, From from, session::Message m)
{
    if (from == From::Client) {
        request(at_us, {std::move(m), {}});
    } else if (m.type == kEvent) {
        file_.add(at_us, session::Event{std::move(m)});
    } else {
        m.redacted |= connections_.at(m.conn).redaction.reply(m.type, m.payload);
        file_.add(at_us, session::Reply{std::move(m)});
    }
}

void Recorder::request(std::uint64_t at_us, session::Request r)
{
    r.redacted |= connections_.at(r.conn).redaction.request(r.type, r.payload);
    file_.add(at_us, std::move(r));
}

void Recorder::leftover(std::uint64_t at_us, std::uint64_t conn, From from, const MessageStream &stream)
{
    if (stream.left() == 0)
        return;
    file_.add(at_us,
              session::Note{fmt::format("c{}: {} bytes of its {} {}", conn, stream.left(), name(from),
                                        stream.lost() ? "were not recorded" : "are no whole message")});
}

void Recorder::closed(std::uint64_t at_us, std::uint64_t conn)
{
    const Connection &c = connections_.at(conn);
    for (const From from : {From::Client, From::Daemon})
        leftover(at_us, conn, from, c.streams[static_cast<int>(from)]);
    connections_.erase(conn);
    file_.add(at_us, session::Closed{conn});
}

} // namespace xsgit::record
