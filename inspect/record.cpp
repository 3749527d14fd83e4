// SPDX-License-Identifier: MIT
// Subjects and trailers, read back.
#include "inspect/record.hpp"

#include <charconv>
#include <string_view>

namespace xsgit::inspect {

namespace {

constexpr std::string_view kConflict = "conflict: ";

/// "dom5 <5@xen>" -> 5.
std::optional<std::uint32_t> domid_of(std::string_view author)
{
    if (!author.starts_with("dom") || !author.ends_with("@xen>"))
        return std::nullopt;
    std::uint32_t domid = 0;
    const auto [end, error] = std::from_chars(author.data() + 3, author.data() + author.size(), domid);
    if (error != std::errc() || *end != ' ')
        return std::nullopt;
    return domid;
}

/// "17 (pid 4242 xenstore-write)".
void put_connection(LogRecord &r, std::string_view text)
{
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc())
        return;
    r.conn = id;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(" (") && text.ends_with(')'))
        r.peer = text.substr(2, text.size() - 3);
}

std::string_view word(std::string_view &rest)
{
    const std::string_view w = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), w.size() + 1));
    return w;
}

void put_operation(LogRecord &r)
{
    std::string_view rest = r.subject;
    if (r.kind == LogRecord::Kind::Conflict) {
        r.op = "commit";
        rest.remove_prefix(rest.starts_with(kConflict) ? kConflict.size() : 0);
        r.detail = rest;
        r.path = path_in_operation(r.detail);
        return;
    }
    r.op = word(rest);
    if (rest.starts_with('/') || rest.starts_with('@')) {
        r.path = word(rest);
        if (rest.starts_with("= ") || rest == "=") {
            r.value = rest.substr(std::min<std::size_t>(rest.size(), 2));
            return;
        }
    }
    r.detail = rest;
}

} // namespace

std::string path_in_operation(const std::string &text)
{
    const std::size_t space = text.find(' ');
    if (space == text.npos || space + 1 >= text.size() || (text[space + 1] != '/' && text[space + 1] != '@'))
        return {};
    // A name has neither of these.
    const std::size_t end = text.find_first_of(" :,", space + 1);
    return text.substr(space + 1, end == text.npos ? end : end - space - 1);
}

std::optional<std::string> LogRecord::whole_value() const
{
    if (!value || value->starts_with('"') || value->ends_with("...") || value->find('\\') != value->npos)
        return std::nullopt;
    return value;
}

LogRecord make_record(const Repository &repo, const WalkedCommit &c)
{
    const Trailers &t = c.trailers;
    LogRecord r;
    r.id = c.info.id;
    r.tree = c.info.tree;
    r.seq = t.seq;
    r.step = t.step;
    r.time_us = t.time_us != 0 ? t.time_us : c.info.seconds * 1'000'000;
    r.domid = domid_of(c.info.author);
    r.tx = t.tx;
    r.transaction = c.info.parents.size() == 2 && t.step == 0 && t.conflict_number == 0;
    r.subject = c.info.message.substr(0, c.info.message.find('\n'));
    put_connection(r, t.conn);
    if (t.conflict_number != 0) {
        r.kind = LogRecord::Kind::Conflict;
        r.conflict = t.conflict_number;
        r.seq = t.head_seq;
        r.culprit_seq = t.culprit_seq;
        r.culprit = t.culprit;
        if (r.culprit)
            if (const auto culprit = repo.commit(*r.culprit))
                r.culprit_domid = domid_of(culprit->author);
    } else if (t.step != 0) {
        r.kind = LogRecord::Kind::Step;
    }
    if (t.seq != 0 || t.conflict_number != 0)
        put_operation(r);
    return r;
}

} // namespace xsgit::inspect
