// SPDX-License-Identifier: MIT
#include "xsgit/git/reply_text.hpp"

#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace xsgit {

namespace {

bool is_read(OpKind k) noexcept
{
    return k == OpKind::Read || k == OpKind::Directory || k == OpKind::GetPerms;
}

} // namespace

std::string operation_text(const Operation &op)
{
    std::string s;
    s.reserve(op.path.size() + 192); // a message grows from this
    s += op_name(op.kind);
    if (!op.path.empty()) {
        s += ' ';
        s += escape(op.path);
    }
    return s;
}

std::string value_text(std::string_view value, std::size_t limit)
{
    const auto hides = [](char c) { return c == ' ' || c == '"'; };
    std::string text = escape(value, limit);
    if (!value.empty() && !hides(value.front()) && !hides(value.back()))
        return text;
    return '"' + text + '"';
}

std::string reply_text(OpKind kind, std::string_view reply, std::size_t limit)
{
    if (kind == OpKind::Read)
        return value_text(reply, limit);
    while (!reply.empty() && reply.back() == '\0')
        reply.remove_suffix(1);
    std::string words(reply);
    std::replace(words.begin(), words.end(), '\0', ' ');
    return value_text(words, limit);
}

std::string request_and_reply(const Operation &op, std::string_view reply, std::size_t limit)
{
    std::string s = operation_text(op);
    if (is_read(op.kind))
        return s + " = " + reply_text(op.kind, reply, limit);
    if (op.kind == OpKind::Write || op.kind == OpKind::SetPerms || !op.value.empty())
        s += " = " + value_text(op.value, limit);
    return s + ": " + reply_text(op.kind, reply, limit);
}

void put_actor(std::string &out, const Actor &actor, std::string_view before, std::string_view after)
{
    if (actor.conn == 0)
        return;
    out += before;
    const fmt::format_int conn(actor.conn);
    out.append(conn.data(), conn.size());
    if (!actor.peer.empty()) {
        out += " (";
        out += escape(actor.peer);
        out += ')';
    }
    out += after;
}

} // namespace xsgit
