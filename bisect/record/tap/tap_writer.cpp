// SPDX-License-Identifier: MIT
// What each kind of event is in a session.
#include "bisect/record/tap/tap_writer.hpp"

#include "bisect/record/tap/connect_facts.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/tree/each_path.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace xsgit::record {

namespace {

constexpr std::size_t kDomainsAtOnce = 100; // in one record: far from its limit

} // namespace

void TapWriter::set_time(std::int64_t wall_us)
{
    const auto start = static_cast<std::int64_t>(start_us_);
    at_us_ = std::max(at_us_, static_cast<std::uint64_t>(std::max<std::int64_t>(wall_us - start, 0)));
}

void TapWriter::note(std::string text)
{
    text.resize(std::min(text.size(), session::kWordsMax));
    file_.add(at_us_, session::Note{std::move(text)});
}

void TapWriter::nodes(const Tree &tree)
{
    std::uint64_t count = 0;
    each_path(tree, [&](const std::string &, const Node &) { ++count; });
    file_.add(at_us_, session::Start{true, count});
    each_path(tree, [&](const std::string &path, const Node &n) {
        file_.add(at_us_, session::Node{path, n.perms()->text(), redaction_.shown(path, n.value())});
    });
}

/// Connections, watches, and which domains they are of: open_ has been brought up to date.
void TapWriter::opening(const server::State &state)
{
    for (const auto &[conn, who] : open_) {
        session::Opened again = who;
        again.before = true;
        file_.add(at_us_, again);
    }
    for (const auto &w : state.watches())
        file_.add(at_us_, session::Watch{w.conn,
                                         w.depth < 0 ? std::nullopt
                                                     : std::optional(static_cast<std::uint32_t>(w.depth)),
                                         w.path, w.token});
    std::string news;
    std::size_t some = 0;
    const auto flush = [&] {
        if (some != 0)
            file_.add(at_us_, session::Domains{news});
        news.clear();
        some = 0;
    };
    for (const auto &d : state.domains()) {
        if (d.domid == 0 || d.unique_id == 0)
            continue;
        server::add_news(news, {d.domid, d.unique_id, server::DomainNews::What::Same});
        if (++some == kDomainsAtOnce)
            flush();
    }
    flush();
    if (const std::size_t n = state.open_transactions())
        note(fmt::format(
            "{} transactions were open when this began: what had been done in them is not here, so "
            "playing it will answer otherwise in them",
            n));
}

void TapWriter::begin(const server::State &state, bool fresh)
{
    if (fresh)
        note("the store was new: it had only what every store begins with");
    else
        nodes(state.tree());
    for (const auto &c : state.connections())
        open_.emplace(c.id, opened_before(c));
    opening(state);
    for (const auto &[conn, who] : open_)
        recorder_.known(who);
}

void TapWriter::rotate(const server::State &state)
{
    if (!file_.due(at_us_))
        return;
    if (state.open_transactions() != 0 && ++rotation_waited_ < kRotationWaits)
        return;
    rotation_waited_ = 0;
    file_.rotate(at_us_, [&] {
        nodes(state.tree());
        opening(state);
    });
}

void TapWriter::open(session::Opened who)
{
    if (!open_.emplace(who.conn, who).second)
        return;
    recorder_.opened(at_us_, who);
}

void TapWriter::close(std::uint64_t conn)
{
    if (open_.erase(conn) != 0)
        recorder_.closed(at_us_, conn);
}

void TapWriter::request(const Event &e)
{
    const auto r = server::read_request(e.wire);
    if (!r || !open_.contains(e.conn))
        return; // the engine ignores it, too
    ++requests_;
    const server::Header &h = r->header;
    recorder_.request(
        at_us_, {{e.conn, h.type, h.req_id, h.tx_id, false, std::string(r->payload)}, std::string(e.facts)});
    if (e.kind == EventKind::Poison)
        note(fmt::format("c{}: the daemon did not execute this request, because it had ended it twice",
                         e.conn));
}

void TapWriter::outputs(const server::Outputs &out)
{
    for (const server::Order &o : out.orders()) {
        if (o.kind == server::Order::Kind::Attach)
            open(opened_ring(o.conn, o.domid));
        else
            close(o.conn);
    }
    for (const server::Output &o : out.items()) {
        if (!open_.contains(o.conn))
            continue; // it was told before it was released
        const std::string_view bytes = out.bytes(o);
        const server::Header h = server::read_header(bytes.data());
        recorder_.message(at_us_, From::Daemon,
                          {o.conn, h.type, h.req_id, h.tx_id, false, std::string(bytes.substr(kHeaderSize))});
    }
}

void TapWriter::event(const Event &e, const server::Outputs &out)
{
    set_time(e.wall_us);
    switch (e.kind) {
    case EventKind::Connect:
        open(opened_by(e));
        break;
    case EventKind::Close:
        close(e.conn);
        break;
    case EventKind::Request:
    case EventKind::Poison:
        request(e);
        break;
    case EventKind::Domains:
        file_.add(at_us_, session::Domains{std::string(e.facts)});
        break;
    case EventKind::Restart:
        note(fmt::format("the daemon was started again, version {}", e.facts));
        break;
    case EventKind::Settings:
        note(fmt::format("the daemon was given limits: {}", e.facts));
        break;
    case EventKind::Epoch:
        note(e.facts == kGapEnds ? "history goes on after a gap; open transactions began anew"
                                 : "a new epoch of the history begins");
        break;
    case EventKind::Ignore:
        note(
            fmt::format("c{}: its guest broke the protocol and is not served any more: {}", e.conn, e.facts));
        break;
    case EventKind::Start:
    case EventKind::Invalid:
        break;
    }
    outputs(out);
}

void TapWriter::gap(const server::State &now, std::uint64_t events)
{
    set_time(now.wall_us());
    file_.add(at_us_, session::Dropped{events});
    note(fmt::format("the daemon was faster than this could read: events {} to {} are missing",
                     now.event_number() - events + 1, now.event_number()));
    const auto connections = now.connections();
    std::map<std::uint64_t, session::Opened> there;
    for (const auto &c : connections)
        there.emplace(c.id, opened_before(c));
    std::map<std::uint64_t, session::Opened> gone = open_;
    std::erase_if(gone, [&](const auto &o) { return there.contains(o.first); });
    for (const auto &[conn, who] : gone)
        close(conn);
    for (auto &[conn, who] : there) {
        who.before = false;
        open(std::move(who));
    }
}

void TapWriter::finish(std::int64_t wall_us, const std::string &reason)
{
    set_time(wall_us);
    file_.finish(at_us_, reason);
}

} // namespace xsgit::record
