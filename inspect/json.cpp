// SPDX-License-Identifier: MIT
// JSON of the same values as the text.
#include "inspect/json.hpp"

#include "inspect/text.hpp"
#include "inspect/time_spec.hpp"
#include "xsgit/git/value_text.hpp"

#include <fmt/core.h>

namespace xsgit::inspect {

namespace {

bool is_utf8(std::string_view s)
{
    for (std::size_t i = 0; i < s.size();) {
        const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(s[k]); };
        const unsigned char c = byte(i);
        const std::size_t more = c < 0x80                ? 0
                                 : c >= 0xc2 && c < 0xe0 ? 1
                                 : c >= 0xe0 && c < 0xf0 ? 2
                                 : c >= 0xf0 && c < 0xf5 ? 3
                                                         : 4;
        if (more == 4 || i + more >= s.size())
            return false;
        for (std::size_t k = 1; k <= more; ++k)
            if ((byte(i + k) & 0xc0) != 0x80)
                return false;
        // Overlong forms, surrogates, beyond U+10FFFF.
        if ((c == 0xe0 && byte(i + 1) < 0xa0) || (c == 0xed && byte(i + 1) > 0x9f) ||
            (c == 0xf0 && byte(i + 1) < 0x90) || (c == 0xf4 && byte(i + 1) > 0x8f))
            return false;
        i += more + 1;
    }
    return true;
}

void put_value(Json &json, std::string_view value) { put_bytes(json, "value", value); }

Json state_json(const NodeState &state)
{
    Json json = Json::object();
    put_value(json, state.value);
    json["perms"] = state.perms;
    return json;
}

/// The subject has values cut; the tree has them whole.
void put_operation(Json &json, TreeReader &reader, const LogRecord &r)
{
    if (r.op.empty()) {
        json["subject"] = printable(r.subject);
        return;
    }
    json["op"] = printable(r.op);
    if (!r.path.empty())
        json["path"] = printable(r.path);
    if (!r.value)
        return;
    const bool perms = r.op == "set-perms";
    if (const auto whole = r.whole_value()) {
        json[perms ? "perms" : "value"] = printable(*whole);
    } else if (const auto node = reader.find(r.tree, Path::trusted(r.path))) {
        const NodeState state = reader.state(*node);
        if (perms)
            json["perms"] = state.perms;
        else
            put_value(json, state.value);
    }
}

Json record_json(TreeReader &reader, const LogRecord &r)
{
    Json json = Json::object();
    if (r.kind == LogRecord::Kind::Conflict)
        json["conflict"] = r.conflict;
    json["seq"] = r.seq;
    if (r.step != 0)
        json["step"] = r.step;
    json["time"] = iso_time(r.time_us);
    json["time_us"] = r.time_us;
    if (r.domid)
        json["domid"] = *r.domid;
    if (r.conn)
        json["conn"] = *r.conn;
    if (!r.peer.empty())
        json["peer"] = printable(r.peer);
    if (r.tx)
        json["tx"] = *r.tx;
    if (r.kind == LogRecord::Kind::Conflict) {
        json["op"] = r.op;
        json["result"] = "EAGAIN";
        json["reason"] = printable(r.detail);
        if (r.culprit_seq != 0) {
            Json culprit = Json::object();
            culprit["seq"] = r.culprit_seq;
            if (r.culprit_domid)
                culprit["domid"] = *r.culprit_domid;
            if (r.culprit)
                culprit["commit"] = r.culprit->hex();
            json["culprit"] = std::move(culprit);
        }
    } else {
        put_operation(json, reader, r);
        json["result"] = "ok";
    }
    json["commit"] = r.id.hex();
    return json;
}

} // namespace

void put_bytes(Json &json, const std::string &key, std::string_view bytes)
{
    if (is_utf8(bytes)) {
        json[key] = bytes;
        return;
    }
    std::string hex = hex_text(bytes);
    hex.pop_back();
    json[key + "_hex"] = std::move(hex);
}

Json node_json(std::string_view path, const NodeState &state)
{
    Json json = Json::object();
    json["path"] = path;
    json.update(state_json(state));
    return json;
}

Json change_json(const NodeChange &change)
{
    Json json = Json::object();
    json["status"] = std::string(1, change_letter(change));
    json["path"] = change.path;
    if (change.before)
        json["before"] = state_json(*change.before);
    if (change.after)
        json["after"] = state_json(*change.after);
    return json;
}

Json log_json(TreeReader &reader, const LogEntry &entry)
{
    Json json = record_json(reader, entry.record);
    if (!entry.steps.empty()) {
        Json steps = Json::array();
        for (const LogRecord &s : entry.steps) {
            Json step = Json::object();
            step["step"] = s.step;
            put_operation(step, reader, s);
            step["commit"] = s.id.hex();
            steps.push_back(std::move(step));
        }
        json["steps"] = std::move(steps);
    }
    return json;
}

std::string json_line(const Json &json)
{
    return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

} // namespace xsgit::inspect
