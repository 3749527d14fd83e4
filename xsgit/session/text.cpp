// SPDX-License-Identifier: MIT
// One line for each kind of record.
#include "xsgit/session/text.hpp"

#include "xsgit/base/escape.hpp"
#include "xsgit/journal/text.hpp"

#include <fmt/core.h>

namespace xsgit::session {

namespace {

std::string message(std::string_view word, const Message &m)
{
    std::string text = fmt::format("c{} {}", m.conn, word);
    if (word != "event") {
        text += fmt::format(" {}", m.req_id);
        if (m.tx_id != 0)
            text += fmt::format(" tx{}", m.tx_id);
        text += " " + type_text(m.type);
    }
    if (m.redacted)
        text += " (redacted)";
    return text + " " + payload_text(m.payload);
}

std::string words(std::string_view word, const std::string &text)
{
    return text.empty() ? std::string(word) : fmt::format("{} {}", word, escape(text));
}

struct Line {
    std::string operator()(const Meta &m) const
    {
        return words(fmt::format("session @{}.{:06} {}", m.start_us / 1'000'000, m.start_us % 1'000'000,
                                 escape(m.source)),
                     m.daemon);
    }
    std::string operator()(const Opened &o) const
    {
        std::string text = fmt::format("c{} {}", o.conn, o.before ? "was-open" : "open");
        if (o.transport != Transport::Unknown)
            text += o.transport == Transport::Ring ? " ring" : " socket";
        if (o.domid)
            text += fmt::format(" d{}", *o.domid);
        if (o.pid)
            text += fmt::format(" pid {}", *o.pid);
        if (o.uid)
            text += fmt::format(" uid {}", *o.uid);
        return words(text, o.comm);
    }
    std::string operator()(const Closed &c) const { return fmt::format("c{} close", c.conn); }
    std::string operator()(const Request &r) const
    {
        return message("request", r) + (r.facts.empty() ? "" : "  (" + escape(r.facts) + ")");
    }
    std::string operator()(const Reply &r) const { return message("reply", r); }
    std::string operator()(const Event &e) const { return message("event", e); }
    std::string operator()(const Dropped &d) const { return fmt::format("dropped {}", d.messages); }
    std::string operator()(const Domains &d) const { return words("domains", d.news); }
    std::string operator()(const Start &s) const
    {
        return s.known ? fmt::format("start {} nodes", s.nodes) : "start unknown";
    }
    std::string operator()(const Node &n) const
    {
        return fmt::format("node {} = \"{}\" ({})", escape(n.path), escape(n.value), escape(n.perms));
    }
    std::string operator()(const Watch &w) const
    {
        std::string text =
            fmt::format("c{} was-watching {}|{}", w.conn, payload_text(w.path), payload_text(w.token));
        return w.depth ? text + fmt::format("  (depth {})", *w.depth) : text;
    }
    std::string operator()(const Note &n) const { return words("note", n.text); }
    std::string operator()(const End &e) const { return words("end", e.reason); }
};

} // namespace

std::string payload_text(std::string_view payload)
{
    std::string text;
    for (std::size_t at = 0; at <= payload.size();) {
        const std::size_t end =
            std::min(payload.find_first_of(std::string_view("\0|", 2), at), payload.size());
        text += escape(payload.substr(at, end - at));
        if (end < payload.size())
            text += payload[end] == '|' ? "\\x7c" : "|";
        at = end + 1;
    }
    return text;
}

std::string type_text(std::uint32_t type)
{
    const std::string_view name = request_name(type);
    return name.empty() ? fmt::format("#{}", type) : std::string(name);
}

std::string line(const Record &r)
{
    return fmt::format("{}.{:06} ", r.at_us / 1'000'000, r.at_us % 1'000'000) + std::visit(Line{}, r.body);
}

} // namespace xsgit::session
