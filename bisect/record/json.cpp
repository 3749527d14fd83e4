// SPDX-License-Identifier: MIT
// One object per kind of record; the names are those of the text.
#include "bisect/record/json.hpp"

#include "xsgit/session/text.hpp"

namespace xsgit::record {

namespace {

using inspect::put_bytes;

struct Fill {
    inspect::Json &json;

    void kind(const char *name) { json["kind"] = name; }
    void operator()(const session::Meta &m)
    {
        kind("session");
        json["start_us"] = m.start_us;
        put_bytes(json, "source", m.source);
        put_bytes(json, "daemon", m.daemon);
    }
    void operator()(const session::Opened &o)
    {
        kind(o.before ? "was-open" : "open");
        json["conn"] = o.conn;
        if (o.transport != session::Transport::Unknown)
            json["transport"] = o.transport == session::Transport::Ring ? "ring" : "socket";
        for (const auto &[name, number] : {std::pair{"domid", o.domid}, {"pid", o.pid}, {"uid", o.uid}})
            if (number)
                json[name] = *number;
        if (!o.comm.empty())
            put_bytes(json, "comm", o.comm);
    }
    void operator()(const session::Closed &c)
    {
        kind("close");
        json["conn"] = c.conn;
    }
    void message(const char *name, const session::Message &m)
    {
        kind(name);
        json["conn"] = m.conn;
        json["type"] = session::type_text(m.type);
        json["req_id"] = m.req_id;
        json["tx_id"] = m.tx_id;
        if (m.redacted)
            json["redacted"] = true;
        put_bytes(json, "payload", m.payload);
    }
    void operator()(const session::Request &r)
    {
        message("request", r);
        if (!r.facts.empty())
            put_bytes(json, "facts", r.facts);
    }
    void operator()(const session::Reply &r) { message("reply", r); }
    void operator()(const session::Event &e) { message("event", e); }
    void operator()(const session::Dropped &d)
    {
        kind("dropped");
        json["messages"] = d.messages;
    }
    void operator()(const session::Domains &d)
    {
        kind("domains");
        put_bytes(json, "news", d.news);
    }
    void operator()(const session::Start &s)
    {
        kind("start");
        json["known"] = s.known;
        json["nodes"] = s.nodes;
    }
    void operator()(const session::Node &n)
    {
        kind("node");
        put_bytes(json, "path", n.path);
        put_bytes(json, "value", n.value);
        put_bytes(json, "perms", n.perms);
    }
    void operator()(const session::Watch &w)
    {
        kind("was-watching");
        json["conn"] = w.conn;
        if (w.depth)
            json["depth"] = *w.depth;
        put_bytes(json, "path", w.path);
        put_bytes(json, "token", w.token);
    }
    void operator()(const session::Note &n)
    {
        kind("note");
        put_bytes(json, "text", n.text);
    }
    void operator()(const session::End &e)
    {
        kind("end");
        put_bytes(json, "reason", e.reason);
    }
};

} // namespace

inspect::Json record_json(const session::Record &record)
{
    auto json = inspect::Json::object();
    json["at"] = static_cast<double>(record.at_us) / 1e6;
    std::visit(Fill{json}, record.body);
    return json;
}

} // namespace xsgit::record
