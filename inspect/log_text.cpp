// SPDX-License-Identifier: MIT
// The three text forms of an entry.
#include "inspect/log_text.hpp"

#include "inspect/text.hpp"
#include "inspect/time_spec.hpp"
#include "xsgit/base/escape.hpp"

#include <cctype>
#include <fmt/core.h>
#include <iterator>

namespace xsgit::inspect {

namespace {

std::string upper(std::string text)
{
    for (char &c : text)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

/// The subject quotes a value only where one could not see its ends.
std::string quoted(const std::string &value) { return value.starts_with('"') ? value : '"' + value + '"'; }

std::string number_of(const LogRecord &r)
{
    if (r.kind == LogRecord::Kind::Conflict || r.seq == 0)
        return "-";
    return r.step != 0 ? fmt::format("#{}.{}", r.seq, r.step) : fmt::format("#{}", r.seq);
}

std::string culprit_of(const LogRecord &r)
{
    if (r.culprit_seq == 0)
        return {};
    const std::string who = r.culprit_domid ? fmt::format("d{} ", *r.culprit_domid) : std::string();
    return fmt::format(" ({}#{})", who, r.culprit_seq);
}

std::string operand(const LogRecord &r)
{
    if (r.op.empty())
        return r.subject;
    if (r.kind == LogRecord::Kind::Conflict || r.path.empty())
        return r.detail;
    std::string text = r.path;
    if (r.value)
        text += " = " + (r.op == "set-perms" ? *r.value : quoted(*r.value));
    else if (!r.detail.empty())
        text += ' ' + r.detail;
    return text;
}

void put_line(std::string &out, const LogRecord &r, bool utc)
{
    const bool step = r.kind == LogRecord::Kind::Step;
    // All steps happened at the moment of their commit.
    const std::string time = step ? std::string() : short_time(r.time_us, utc);
    const std::string op = (step ? "  " : "") + upper(printable(r.op));
    std::string line = fmt::format("{:<22}  {:<9} {:<4} {:<5} {:<9} {:<44}", time, number_of(r),
                                   r.domid ? fmt::format("d{}", *r.domid) : "-",
                                   r.tx ? fmt::format("tx{}", *r.tx) : "-", op, printable(operand(r)));
    if (r.kind == LogRecord::Kind::Conflict)
        line += " EAGAIN" + culprit_of(r);
    else if (!step)
        line += " ok";
    while (line.ends_with(' '))
        line.pop_back();
    out += line;
    out += '\n';
}

} // namespace

std::string short_text(const LogEntry &entry, bool utc)
{
    std::string out;
    put_line(out, entry.record, utc);
    for (const LogRecord &s : entry.steps)
        put_line(out, s, utc);
    return out;
}

std::string verbose_text(TreeReader &reader, const LogEntry &entry, bool utc)
{
    const LogRecord &r = entry.record;
    std::string out = fmt::format("{} {}\n", long_time(r.time_us, utc),
                                  r.kind == LogRecord::Kind::Conflict ? fmt::format("conflict {}", r.conflict)
                                                                      : number_of(r));
    const auto put = [&](std::string_view key, const std::string &value) {
        fmt::format_to(std::back_inserter(out), "    {}={}\n", key, value);
    };
    if (r.domid)
        put("DOMID", std::to_string(*r.domid));
    if (r.conn)
        put("CONN", std::to_string(*r.conn));
    if (!r.peer.empty())
        put("PEER", printable(r.peer));
    if (r.tx)
        put("TX", std::to_string(*r.tx));
    if (r.op.empty())
        put("SUBJECT", printable(r.subject));
    else
        put("OP", printable(r.op));
    if (r.kind == LogRecord::Kind::Conflict) {
        put("RESULT", "EAGAIN");
        put("REASON", printable(r.detail));
        put("HEAD_SEQ", std::to_string(r.seq));
        if (r.culprit_seq != 0)
            put("CULPRIT_SEQ", std::to_string(r.culprit_seq));
        if (r.culprit_domid)
            put("CULPRIT_DOMID", std::to_string(*r.culprit_domid));
    } else {
        if (!r.path.empty())
            put("PATH", printable(r.path));
        if (r.value)
            if (const auto node = reader.find(r.tree, Path::trusted(r.path))) {
                const NodeState s = reader.state(*node);
                put(r.op == "set-perms" ? "PERMS" : "VALUE", r.op == "set-perms" ? s.perms : escape(s.value));
            }
        put("RESULT", "ok");
    }
    put("COMMIT", r.id.hex());
    for (const LogRecord &s : entry.steps)
        put("STEP", fmt::format("{} {}", number_of(s), printable(s.subject)));
    return out;
}

std::string cat_text(const LogEntry &entry)
{
    std::string out = printable(entry.record.subject) + "\n";
    for (const LogRecord &s : entry.steps)
        out += "  " + printable(s.subject) + "\n";
    return out;
}

} // namespace xsgit::inspect
