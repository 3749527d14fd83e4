// SPDX-License-Identifier: MIT
// The two files of a conflict's commit.
#include "xsgit/git/commit_message.hpp"
#include "xsgit/git/reply_text.hpp"

#include <fmt/core.h>
#include <iterator>

namespace xsgit {

namespace {

constexpr std::size_t kValueInLog = 256;
/// Entries at each end of the log, and on each side of the one that differs.
constexpr std::size_t kEntriesKept = 250;

bool is_kept(std::size_t i, const Conflict &c) noexcept
{
    return i < kEntriesKept || i + kEntriesKept >= c.log.size() ||
           (i + kEntriesKept >= c.differs && i <= c.differs + kEntriesKept);
}

} // namespace

std::string conflict_log(const Conflict &c)
{
    std::string s;
    for (std::size_t i = 0; i < c.log.size();) {
        if (!is_kept(i, c)) {
            const std::size_t first = i;
            while (!is_kept(i, c))
                ++i;
            fmt::format_to(std::back_inserter(s), "  ... {} requests\n", i - first);
            continue;
        }
        const Conflict::Entry &e = c.log[i];
        s += i == c.differs ? "> " : "  ";
        if (i == c.differs)
            fmt::format_to(std::back_inserter(s), "{}\n      now: {}\n",
                           request_and_reply(e.op, e.reply, kValueInLog),
                           reply_text(e.op.kind, c.reply_now, kValueInLog));
        else
            s += request_and_reply(e.op, e.reply, kValueInLog) + '\n';
        ++i;
    }
    return s;
}

std::string conflict_summary(const Conflict &c, const std::optional<Oid> &culprit)
{
    std::string s;
    const auto out = std::back_inserter(s);
    fmt::format_to(out, "Transaction {} of domain {}", c.tx, c.actor.domid);
    put_actor(s, c.actor, ", connection ", "");
    fmt::format_to(out, ",\nstarted at #{} and refused at #{} with EAGAIN.\n", c.base_seq, c.head_seq);
    if (c.differs < c.log.size()) {
        const Conflict::Entry &e = c.log[c.differs];
        fmt::format_to(out, "\nRequest {} of {}:\n  {}\nwould now be answered:\n  {}\n", c.differs + 1,
                       c.log.size(), request_and_reply(e.op, e.reply, kValueInLog),
                       reply_text(e.op.kind, c.reply_now, kValueInLog));
    }
    if (c.culprit_seq != 0) {
        fmt::format_to(out, "\nThe newest change of what it saw is #{}", c.culprit_seq);
        if (culprit)
            fmt::format_to(out, ", commit {}", culprit->hex());
        s += ".\n";
    }
    return s;
}

} // namespace xsgit
