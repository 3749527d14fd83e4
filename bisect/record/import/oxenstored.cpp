// SPDX-License-Identifier: MIT
// One line, one message, or one thing that the daemon did.
#include "bisect/record/import/oxenstored.hpp"

#include "bisect/record/import/printed.hpp"
#include "server/engine/wire.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace xsgit::record {

namespace {

using server::MsgType;
using namespace std::string_literals;

constexpr std::size_t kTransactionsMax = 1024, kDateEnd = 22; // of "[20261122T07:24:52.353Z"
constexpr std::size_t kCutAt = 179;                           // characters of a line that was cut

constexpr std::array<std::pair<std::string_view, MsgType>, 22> kOps = {{
    {"directory_partial", MsgType::DirectoryPart},
    {"directory", MsgType::Directory},
    {"reset watches", MsgType::ResetWatches},
    {"is introduced", MsgType::IsDomainIntroduced},
    {"introduce", MsgType::Introduce},
    {"settarget", MsgType::SetTarget},
    {"getdomain", MsgType::GetDomainPath},
    {"getperms", MsgType::GetPerms},
    {"setperms", MsgType::SetPerms},
    {"release", MsgType::Release},
    {"unwatch", MsgType::Unwatch},
    {"t start", MsgType::TransactionStart},
    {"t end", MsgType::TransactionEnd},
    {"w event", MsgType::WatchEvent},
    {"resume", MsgType::Resume},
    {"debug", MsgType::Control},
    {"error", MsgType::Error},
    {"write", MsgType::Write},
    {"watch", MsgType::Watch},
    {"mkdir", MsgType::Mkdir},
    {"read", MsgType::Read},
    {"rm", MsgType::Rm},
}};
constexpr std::array<std::string_view, 6> kDeeds = {"w notfired", "newconn",  "endconn",
                                                    "commit",     "conflict", "coalesce"};

std::optional<std::uint32_t> natural(std::string_view text)
{
    if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != text.npos)
        return std::nullopt;
    return static_cast<std::uint32_t>(server::parse_atoi(text));
}

/// OCaml's String.escaped, backwards.
std::string unescape(std::string_view text)
{
    static constexpr std::string_view letters = "ntrb\\\"'", meant = "\n\t\r\b\\\"'";
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
        } else if (const auto l = letters.find(text[i + 1]); l != letters.npos) {
            out += meant[l];
            ++i;
        } else if (const auto code = i + 3 < text.size() ? natural(text.substr(i + 1, 3)) : std::nullopt;
                   code && *code < 256) {
            out += static_cast<char>(*code);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

struct Operation {
    std::string_view name; // empty: none that is known
    bool message = false;  // else something that the daemon did
    MsgType type = MsgType::Error;
};

/// Blanks fill the column behind its name.
Operation operation(std::string_view text)
{
    const auto begins = [&](std::string_view name) {
        return text.starts_with(name) && (text.size() == name.size() || text[name.size()] == ' ');
    };
    for (const auto &[name, type] : kOps)
        if (begins(name))
            return {name, true, type};
    for (const std::string_view name : kDeeds)
        if (begins(name))
            return {name};
    return {};
}

} // namespace

bool OxenstoredLog::parse(std::string_view text, Entry &e)
{
    const auto close = text.find("Z] ");
    if (!text.starts_with('[') || close != kDateEnd || text[9] != 'T' || text[18] != '.')
        return false;
    const auto seconds = seconds_of(text.substr(1, 8), text.substr(10, 8), true);
    const auto ms = natural(text.substr(19, 3));
    if (!seconds || !ms)
        return false;
    e.when = {*seconds * 1'000'000 + *ms * 1000, true};
    e.cut = text.size() >= kCutAt && text.ends_with("..");
    std::string_view rest = text.substr(close + 3);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::size_t n = std::min(rest.find(' '), rest.size());
    if (rest.substr(n).starts_with(" (ANON CONN #")) // as some versions call a socket
        n = std::min(rest.find(' ', rest.find(')', n)), rest.size());
    const std::string_view who = rest.substr(0, n);
    const std::size_t dot = who.rfind('.');
    const auto tx = dot == who.npos ? std::optional(0u) : natural(who.substr(dot + 1));
    if (who.empty() || !tx || (who[0] != 'A' && who[0] != 'D'))
        return false;
    e.who = who.substr(0, dot);
    e.tx_id = *tx;
    rest.remove_prefix(n);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    e.op = rest;
    return true;
}

bool OxenstoredLog::recognizes(std::string_view line)
{
    Entry e;
    return parse(line, e);
}

OxenstoredLog::Connection &OxenstoredLog::connection(const Entry &e, bool before)
{
    const auto it = connections_.find(e.who);
    if (it != connections_.end())
        return it->second;
    if (connections_.size() >= session::kOpenMax) {
        target_.close(e.when, connections_.begin()->second.conn);
        connections_.erase(connections_.begin());
    }
    const std::string_view digits =
        std::string_view(e.who).substr(std::min(e.who.find_first_of("0123456789"), e.who.size()));
    const bool socket = e.who[0] == 'A' || e.who.find("ANON") != e.who.npos;
    session::Opened o{0,  before, socket ? session::Transport::Socket : session::Transport::Ring, {}, {},
                      {}, ""};
    o.domid = socket ? 0 : natural(digits);
    Connection c;
    c.conn = target_.open(e.when, o);
    return connections_.emplace(e.who, std::move(c)).first->second;
}

void OxenstoredLog::line(std::string_view text)
{
    Entry e;
    const Operation op = parse(text, e) ? operation(e.op) : Operation();
    if (op.name.empty()) {
        if (!text.empty())
            target_.missing("lines that are none of an access log were left out");
        return;
    }
    constexpr std::size_t kColumn = 9;
    e.data = e.op.substr(std::min(std::max(op.name.size(), kColumn) + 1, e.op.size()));
    if (op.message) {
        request(e, static_cast<std::uint32_t>(op.type));
    } else if (op.name == "newconn") {
        connection(e, false);
    } else if (op.name == "endconn") {
        if (const auto it = connections_.find(e.who); it != connections_.end()) {
            target_.close(e.when, it->second.conn);
            connections_.erase(it);
        }
    } else if (op.name == "commit" || op.name == "conflict") {
        end(e, op.name == "commit");
    }
}

void OxenstoredLog::send(const Entry &e, Connection &c, std::uint32_t type, std::uint32_t tx_id,
                         std::string payload)
{
    c.type = type;
    target_.message(e.when, From::Client, {c.conn, type, ++c.req_id, tx_id, e.cut, std::move(payload)});
}

void OxenstoredLog::end(const Entry &e, bool committed)
{
    constexpr auto kEnd = static_cast<std::uint32_t>(MsgType::TransactionEnd);
    Connection &c = connection(e, true);
    if (c.transactions.erase(e.tx_id) == 0)
        return; // "t end" had it, or it is none
    send(e, c, kEnd, e.tx_id, "T\0"s);
    if (committed)
        target_.message(e.when, From::Daemon, {c.conn, kEnd, c.req_id, e.tx_id, false, "OK\0"s});
}

void OxenstoredLog::request(const Entry &e, std::uint32_t type)
{
    constexpr auto kStart = static_cast<std::uint32_t>(MsgType::TransactionStart);
    const auto is = [&](MsgType t) { return type == static_cast<std::uint32_t>(t); };
    Connection &c = connection(e, true);
    const bool answer = is(MsgType::WatchEvent) || is(MsgType::Error);
    std::string payload = payload_printed(type, answer ? From::Daemon : From::Client, unescape(e.data));
    if (payload.size() > kPayloadMax) {
        target_.missing("messages longer than the protocol allows were left out");
        return;
    }
    if (e.cut)
        target_.missing("messages were cut by the log: they are marked as redacted");
    if (is(MsgType::WatchEvent)) {
        target_.message(e.when, From::Daemon, {c.conn, type, 0, 0, e.cut, std::move(payload)});
        return;
    }
    if (is(MsgType::Error)) {
        target_.message(e.when, From::Daemon, {c.conn, type, c.req_id, e.tx_id, e.cut, std::move(payload)});
        return;
    }
    if (e.tx_id != 0 && !c.transactions.contains(e.tx_id) && c.transactions.size() < kTransactionsMax) {
        c.transactions.insert(e.tx_id);
        send(e, c, kStart, 0, "\0"s);
        target_.message(e.when, From::Daemon,
                        {c.conn, kStart, c.req_id, 0, false, std::to_string(e.tx_id) + '\0'});
    }
    if (is(MsgType::TransactionStart))
        return; // that was it
    if (is(MsgType::TransactionEnd)) {
        target_.missing("ends of transactions: whether they were to commit is told by what the daemon did");
        return;
    }
    send(e, c, type, e.tx_id, std::move(payload));
}

} // namespace xsgit::record
