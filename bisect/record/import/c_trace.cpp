// SPDX-License-Identifier: MIT
// Line by line; a message is handed on when the next line shows that it is complete.
#include "bisect/record/import/c_trace.hpp"

#include "bisect/record/import/printed.hpp"
#include "bisect/record/import/scan.hpp"
#include "server/engine/wire.hpp"

#include <algorithm>

namespace xsgit::record {

namespace {

using server::MsgType;

constexpr std::size_t kAskedMax = 65536, kTransactionsMax = 1024, kConnectionsMax = session::kOpenMax;

bool is(std::uint32_t type, MsgType t) { return type == static_cast<std::uint32_t>(t); }

/// Takes a word and the blank behind it off the front.
std::string_view word(std::string_view &text)
{
    const std::size_t n = std::min(text.find(' '), text.size());
    const std::string_view w = text.substr(0, n);
    text.remove_prefix(std::min(n + 1, text.size()));
    return w;
}

/// "\134" of this project's daemon; the C daemon writes bytes as they are.
std::string unescape(std::string_view text)
{
    const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '7'; };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3) && text[i + 1] < '4') {
            out +=
                static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    return out;
}

/// What the daemons write besides messages and objects.
bool is_remark(std::string_view line)
{
    for (const std::string_view begin :
         {"wrl: ", "acc: ", "tdb: ", "TDB: ", "CONN ", "***", "CREATE ", "DESTROY ",
          "obj: ", "Checking store", "orphaned node", "dropping duplicate", "watch event ", "quota: "})
        if (line.starts_with(begin))
            return true;
    return line.empty();
}

} // namespace

std::optional<CTrace::Pending> CTrace::message(std::string_view text) const
{
    takes(text, "io: ");
    Pending p;
    p.direction = word(text);
    p.who = word(text);
    if ((p.direction != "IN" && !p.direction.starts_with("OUT")) || !p.who.starts_with("0x"))
        return std::nullopt;
    if (takes(text, "(d")) {
        std::string_view domid = word(text);
        if (!domid.ends_with(')') || !(p.domid = server::parse_domid(domid.substr(0, domid.size() - 1))))
            return std::nullopt;
    }
    const std::string_view date = word(text), time = word(text);
    const auto seconds = seconds_of(date, time, false);
    const auto type = type_named(word(text));
    if (!seconds || !takes(text, "("))
        return std::nullopt;
    p.when = {*seconds * 1'000'000, true};
    p.type = type.value_or(UINT32_MAX);
    p.payload = text;
    return p;
}

bool CTrace::recognizes(std::string_view line)
{
    for (const std::string_view begin :
         {"io: IN 0x", "io: OUT 0x", "IN 0x", "OUT 0x", "CREATE connection 0x", "obj: CREATE "})
        if (line.starts_with(begin))
            return true;
    return false;
}

bool CTrace::object(std::string_view text)
{
    takes(text, "obj: ");
    if (takes(text, "CREATE connection ")) {
        if (const auto it = connections_.find(text); it != connections_.end()) {
            target_.close(last_, it->second.conn);
            connections_.erase(it);
        }
        return true; // it is opened with its first message, whose time is known
    }
    if (!takes(text, "DESTROY connection "))
        return false;
    if (const auto it = connections_.find(text); it != connections_.end()) {
        target_.close(last_, it->second.conn);
        connections_.erase(it);
    }
    return true;
}

void CTrace::line(std::string_view text)
{
    auto next = message(text);
    const bool remark = is_remark(text);
    if (!next && pending_ && !pending_->payload.ends_with(')') &&
        pending_->payload.size() < 4 * kPayloadMax) {
        pending_->payload += '\n'; // a value with a line feed
        pending_->payload += text;
        return;
    }
    flush();
    if (next)
        pending_ = std::move(next);
    else if (!object(text) && !remark)
        target_.missing("lines that are none of a trace file were left out");
}

CTrace::Connection &CTrace::connection(const std::string &who, const Pending &of)
{
    const auto it = connections_.find(who);
    if (it != connections_.end())
        return it->second;
    if (connections_.size() >= kConnectionsMax) {
        target_.close(of.when, connections_.begin()->second.conn);
        connections_.erase(connections_.begin());
    }
    Connection c;
    c.conn = target_.open(of.when, {0, false, session::Transport::Unknown, of.domid, {}, {}, ""});
    return connections_.emplace(who, std::move(c)).first->second;
}

void CTrace::flush()
{
    if (!pending_)
        return;
    Pending p = std::move(*pending_);
    pending_.reset();
    last_ = p.when;
    if (p.type == UINT32_MAX || p.direction == "OUT(END)" || p.direction == "OUT(ERR)") {
        if (p.type == UINT32_MAX)
            target_.missing("messages of a type without a name were left out");
        return; // OUT(START) had it
    }
    if (p.payload.ends_with(')'))
        p.payload.pop_back();
    p.payload =
        payload_printed(p.type, p.direction == "IN" ? From::Client : From::Daemon, unescape(p.payload));
    if (p.payload.size() > kPayloadMax) {
        target_.missing("messages longer than the protocol allows were left out");
        return;
    }
    Connection &c = connection(p.who, p);
    p.direction == "IN" ? request(c, p) : answer(c, p);
}

void CTrace::request(Connection &c, Pending &p)
{
    Asked asked{p.type, c.next_req_id++, 0};
    if (!c.transactions.empty() && !is(p.type, MsgType::TransactionStart)) {
        asked.tx_id = c.transactions.back();
        if (c.transactions.size() > 1)
            target_.missing("requests were on connections with several open transactions: to which they "
                            "belong is a guess");
    }
    if (c.asked.size() >= kAskedMax)
        c.asked.pop_front();
    c.asked.push_back(asked);
    target_.message(p.when, From::Client,
                    {c.conn, p.type, asked.req_id, asked.tx_id, false, std::move(p.payload)});
}

void CTrace::answer(Connection &c, Pending &p)
{
    if (is(p.type, MsgType::WatchEvent)) {
        target_.message(p.when, From::Daemon, {c.conn, p.type, 0, 0, false, std::move(p.payload)});
        return;
    }
    Asked asked{p.type, 0, 0};
    if (c.asked.empty()) {
        target_.missing("replies came to requests from before the trace");
    } else {
        asked = c.asked.front();
        c.asked.pop_front();
    }
    if (is(p.type, MsgType::TransactionStart) && c.transactions.size() < kTransactionsMax)
        c.transactions.push_back(static_cast<std::uint32_t>(server::parse_atoi(p.payload)));
    // It is over unless the request itself was wrong.
    if (is(asked.type, MsgType::TransactionEnd) && p.payload != std::string_view("EINVAL\0", 7))
        std::erase(c.transactions, asked.tx_id);
    target_.message(p.when, From::Daemon,
                    {c.conn, p.type, asked.req_id, asked.tx_id, false, std::move(p.payload)});
}

void CTrace::finish() { flush(); }

} // namespace xsgit::record
