// SPDX-License-Identifier: MIT
#include "xsgit/git/commit_message.hpp"

#include "xsgit/git/reply_text.hpp"

#include <charconv>
#include <fmt/format.h>
#include <iterator>

namespace xsgit {

namespace {

constexpr std::size_t kValueInSubject = 40;
constexpr std::size_t kOperationsInBody = 50;

template <class... Args>
void put(std::string &out, fmt::format_string<Args...> format, Args &&...args)
{
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

/// On the way of every commit: no format string.
template <class Number>
void put_number(std::string &out, std::string_view before, Number n, std::string_view after)
{
    const fmt::format_int digits(n);
    out += before;
    out.append(digits.data(), digits.size());
    out += after;
}

/// `step` 0: the commit on main.
void put_trailers(std::string &out, const Change &c, std::size_t step)
{
    put_number(out, "Seq: ", c.seq, step == 0 ? "\n" : "");
    if (step != 0)
        put_number(out, ".", step, "\n");
    put_actor(out, c.actor, "Conn: ", "\n");
    if (c.tx != 0)
        put_number(out, "Tx: ", c.tx, "\n");
    put_number(out, "Time: ", c.wall_us, "\n");
}

template <class Number>
bool parse_number(std::string_view text, Number &n) noexcept
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    return error == std::errc() && end == text.data() + text.size();
}

/// Without the newlines at its end, behind the last empty line; empty if there is none.
std::string_view last_paragraph(std::string_view message) noexcept
{
    while (message.ends_with('\n'))
        message.remove_suffix(1);
    const std::size_t gap = message.rfind("\n\n");
    return gap == message.npos ? std::string_view() : message.substr(gap + 2);
}

} // namespace

std::string subject_of(const Operation &op)
{
    std::string s = operation_text(op);
    if (op.kind == OpKind::Write || op.kind == OpKind::SetPerms || !op.value.empty()) {
        s += " = ";
        s += value_text(op.value, kValueInSubject);
    }
    return s;
}

std::string main_message(const Change &c)
{
    std::string s;
    if (c.op.kind == OpKind::Commit) {
        const std::size_t n = c.steps.size();
        put(s, "commit {} operation{}\n\n", n, n == 1 ? "" : "s");
        for (std::size_t i = 0; i < n && i < kOperationsInBody; ++i) {
            s += subject_of(c.steps[i].op);
            s += '\n';
        }
        if (n > kOperationsInBody)
            put(s, "... and {} more\n", n - kOperationsInBody);
        if (n != 0)
            s += '\n';
    } else {
        s = subject_of(c.op);
        s += "\n\n";
    }
    put_trailers(s, c, 0);
    return s;
}

std::string step_message(const Change &c, std::size_t k, std::size_t held)
{
    std::string s = subject_of(c.steps[k - 1].op);
    s += "\n\n";
    if (held > 1)
        put(s, "Holds the {} operations before it, too: the transaction is too large for a commit each.\n\n",
            held - 1);
    put_trailers(s, c, k);
    return s;
}

std::string conflict_message(const Conflict &c, const std::optional<Oid> &culprit)
{
    std::string s = "conflict: ";
    if (c.differs < c.log.size()) {
        const Conflict::Entry &e = c.log[c.differs];
        put(s, "{}, would now be {}", request_and_reply(e.op, e.reply, kValueInSubject),
            reply_text(e.op.kind, c.reply_now, kValueInSubject));
    } else {
        put(s, "{} requests", c.log.size());
    }
    s += "\n\n";
    std::string numbers = fmt::format("Number: {}\n", c.number);
    put_actor(numbers, c.actor, "Conn: ", "\n");
    put(numbers, "Tx: {}\nBase-Seq: {}\nHead-Seq: {}\n", c.tx, c.base_seq, c.head_seq);
    if (c.culprit_seq != 0)
        put(numbers, "Culprit-Seq: {}\n", c.culprit_seq);
    if (culprit)
        put(numbers, "Culprit: {}\n", culprit->hex());
    s += numbers;
    put(s, "Time: {}\n", c.wall_us);
    return s;
}

std::string gap_message(std::uint64_t first, std::uint64_t last, std::int64_t wall_us)
{
    const std::uint64_t n = last - first + 1;
    return fmt::format(
        "gap: {} operation{}\n\nThey could not be written to history; this is the state behind "
        "them.\n\nSeq: {}\nGap: {}\nTime: {}\n",
        n, n == 1 ? "" : "s", last, first, wall_us);
}

std::string commit_object(const Oid &tree, const std::vector<Oid> &parents, std::uint32_t domid,
                          std::int64_t wall_us, std::string_view message)
{
    // Rounded down, before 1970 too.
    const std::int64_t seconds = wall_us / 1'000'000 - (wall_us % 1'000'000 < 0 ? 1 : 0);
    std::string s;
    s.reserve(200 + 48 * parents.size() + message.size());
    s += "tree ";
    s += tree.hex();
    for (const Oid &p : parents) {
        s += "\nparent ";
        s += p.hex();
    }
    put_number(s, "\nauthor dom", domid, " <");
    put_number(s, "", domid, "@xen> ");
    put_number(s, "", seconds, " +0000\ncommitter xenstored <xs@xen> ");
    put_number(s, "", seconds, " +0000\n\n");
    s += message;
    return s;
}

Trailers parse_trailers(std::string_view message)
{
    Trailers t;
    std::string_view rest = last_paragraph(message);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const std::size_t colon = line.find(": ");
        if (colon == line.npos)
            continue;
        const std::string_view key = line.substr(0, colon), value = line.substr(colon + 2);
        if (key == "Seq") {
            const std::size_t dot = value.find('.');
            parse_number(value.substr(0, dot), t.seq);
            if (dot != value.npos)
                parse_number(value.substr(dot + 1), t.step);
        } else if (key == "Conn") {
            t.conn = value;
        } else if (key == "Tx") {
            if (std::uint32_t tx = 0; parse_number(value, tx))
                t.tx = tx;
        } else if (key == "Gap") {
            parse_number(value, t.gap);
        } else if (key == "Time") {
            parse_number(value, t.time_us);
        } else if (key == "Number") {
            parse_number(value, t.conflict_number);
        } else if (key == "Base-Seq") {
            parse_number(value, t.base_seq);
        } else if (key == "Head-Seq") {
            parse_number(value, t.head_seq);
        } else if (key == "Culprit-Seq") {
            parse_number(value, t.culprit_seq);
        } else if (key == "Culprit") {
            t.culprit = Oid::from_hex(value);
        }
    }
    return t;
}

} // namespace xsgit
