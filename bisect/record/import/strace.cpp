// SPDX-License-Identifier: MIT
// Descriptors become connections, transfers become streams, streams become messages.
#include "bisect/record/import/strace.hpp"

#include "server/engine/wire.hpp"

#include <algorithm>
#include <stdexcept>

namespace xsgit::record {

namespace {

using server::MsgType;

constexpr std::size_t kMost = 4096, kUnfinishedBytes = 64u << 20;

/// Whether these bytes can be the begin of a message. CONTROL (0) without a payload is not taken for one: it is what zeros look like.
bool plausible(std::string_view bytes)
{
    if (bytes.size() < kHeaderSize)
        return false;
    const server::Header h = server::read_header(bytes.data());
    return h.type <= static_cast<std::uint32_t>(MsgType::SetQuota) && h.len <= kPayloadMax &&
           (h.type != 0 || h.len != 0);
}

/// What only a daemon sends.
bool is_answer(std::string_view bytes)
{
    const std::uint32_t type = server::read_header(bytes.data()).type;
    return type == static_cast<std::uint32_t>(MsgType::WatchEvent) ||
           type == static_cast<std::uint32_t>(MsgType::Error);
}

bool receives(std::string_view call) { return call.starts_with("re"); }

bool names_xenstored(std::string_view path)
{
    return path.find("xenstored") != path.npos || path.ends_with("/xenbus");
}

} // namespace

bool Strace::recognizes(std::string_view line)
{
    const StraceLine l = strace_line(line);
    return strace_call(l.rest).has_value() || (l.us && l.rest.find('(') != l.rest.npos) ||
           l.rest.starts_with("<... ") || l.rest.starts_with("execve(");
}

std::uint32_t Strace::process(std::uint32_t pid) const
{
    const auto it = threads_.find(pid);
    return it == threads_.end() ? pid : it->second;
}

void Strace::line(std::string_view text)
{
    const StraceLine l = strace_line(text);
    if (l.us)
        last_ = {*l.us, l.wall};
    constexpr std::string_view kUnfinished = " <unfinished ...>", kResumed = " resumed>";
    std::string joined;
    std::string_view rest = l.rest;
    if (rest.ends_with(kUnfinished)) {
        rest.remove_suffix(kUnfinished.size());
        std::string &kept = unfinished_[l.pid];
        unfinished_bytes_ += rest.size() - kept.size();
        if (unfinished_bytes_ > kUnfinishedBytes || unfinished_.size() > kMost)
            throw std::runtime_error("too many calls are unfinished: this is no log of strace");
        kept = rest;
        return;
    }
    if (rest.starts_with("<... ")) {
        const auto it = unfinished_.find(l.pid);
        const std::size_t at = rest.find(kResumed);
        if (it == unfinished_.end() || at == rest.npos)
            return;
        joined = std::move(it->second) + std::string(rest.substr(at + kResumed.size()));
        unfinished_bytes_ -= std::min(unfinished_bytes_, joined.size());
        unfinished_.erase(it);
        rest = joined;
    }
    if (rest.starts_with("+++ ")) {
        exited(last_, l.pid);
    } else if (const auto c = strace_call(rest)) {
        call(last_, l.pid, *c);
    }
}

void Strace::call(When when, std::uint32_t pid, const StraceCall &c)
{
    ++calls_;
    if (c.result < 0)
        return;
    if (c.name.starts_with("clone")) {
        if (c.shares_files && threads_.size() < kMost)
            threads_[static_cast<std::uint32_t>(c.result)] = process(pid);
        return;
    }
    const Key key{process(pid), c.fd};
    const Key made{process(pid), static_cast<int>(c.result)};
    if (c.name == "close") {
        if (const auto it = connections_.find(key); it != connections_.end())
            close(when, it);
    } else if (c.name == "connect" || c.name == "openat") {
        const Key there = c.name == "connect" ? key : made;
        if (const auto it = connections_.find(there); it != connections_.end())
            close(when, it);
        if (names_xenstored(c.path))
            begin(when, there, false, false);
    } else if (c.name == "socket" || c.name.starts_with("accept")) {
        if (const auto it = connections_.find(made); it != connections_.end())
            close(when, it);
    } else {
        transfer(when, pid, c);
    }
}

Strace::Connection *Strace::begin(When when, Key key, bool daemon, bool before)
{
    if (connections_.size() >= kMost)
        close(when,
              std::min_element(connections_.begin(), connections_.end(), [](const auto &a, const auto &b) {
                  return a.second.last_used < b.second.last_used;
              }));
    session::Opened o{0, before, session::Transport::Socket, {}, {}, {}, ""};
    if (!daemon && key.first != 0)
        o.pid = key.first;
    Connection c;
    c.conn = target_.open(when, o);
    c.daemon = daemon;
    return &(connections_[key] = std::move(c));
}

void Strace::transfer(When when, std::uint32_t pid, const StraceCall &c)
{
    if (c.fd < 0)
        return;
    const std::uint32_t owner = process(pid);
    const auto found = connections_.find({owner, c.fd});
    Connection *connection = found == connections_.end() ? nullptr : &found->second;
    if (!connection && plausible(c.data)) {
        // A thread of which strace did not print the birth: libxenstore reads in one.
        Key candidate{};
        for (const auto &[key, known] : connections_)
            if (key.second == c.fd && !known.daemon &&
                (!connection || known.last_used > connection->last_used)) {
                connection = &connections_.at(key);
                candidate = key;
            }
        const bool stranger = connection && owner != 0 && threads_.size() < kMost &&
                              std::none_of(connections_.begin(), connections_.end(),
                                           [&](const auto &k) { return k.first.first == owner; });
        if (stranger) {
            threads_[owner] = candidate.first;
            target_.missing("threads were taken for those of a process with the same descriptor; trace clone "
                            "and clone3, too, to know");
        } else {
            const bool daemon = is_answer(c.data) ? !receives(c.name) : receives(c.name);
            connection = begin(when, {owner, c.fd}, daemon, true);
        }
    }
    if (!connection)
        return;
    connection->last_used = calls_;
    if (c.result == 0 && receives(c.name)) {
        for (auto it = connections_.begin(); it != connections_.end(); ++it)
            if (&it->second == connection) {
                close(when, it);
                return;
            }
    }
    const From from = receives(c.name) == connection->daemon ? From::Client : From::Daemon;
    feed(when, *connection, from, c);
}

void Strace::feed(When when, Connection &connection, From from, const StraceCall &c)
{
    Stream &stream = connection.streams[static_cast<int>(from)];
    stream.cut |= c.cut;
    const bool was_lost = stream.messages.lost();
    stream.messages.feed(c.data, [&](const server::Header &h, std::string_view payload) {
        if (stream.cut)
            target_.missing("messages have bytes that strace did not print (-s is too small): they are "
                            "marked as redacted");
        target_.message(when, from,
                        {connection.conn, h.type, h.req_id, h.tx_id, stream.cut, std::string(payload)});
    });
    if (stream.messages.left() == 0)
        stream.cut = false;
    if (stream.messages.lost() && !was_lost)
        target_.missing("streams could not be followed to their end: where a header was expected, there was "
                        "something else");
}

void Strace::close(When when, std::map<Key, Connection>::iterator it)
{
    leftover(it->second);
    target_.close(when, it->second.conn);
    connections_.erase(it);
}

void Strace::exited(When when, std::uint32_t pid)
{
    if (threads_.erase(pid) != 0)
        return;
    for (auto it = connections_.lower_bound({pid, 0}); it != connections_.end() && it->first.first == pid;
         it = connections_.lower_bound({pid, 0}))
        close(when, it);
}

void Strace::leftover(const Connection &connection)
{
    for (const Stream &s : connection.streams)
        if (s.messages.left() != 0 && !s.messages.lost())
            target_.missing("messages were not complete when their connection or the log ended");
}

void Strace::finish()
{
    for (const auto &[key, connection] : connections_)
        leftover(connection);
}

} // namespace xsgit::record
