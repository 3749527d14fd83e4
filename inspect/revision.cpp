// SPDX-License-Identifier: MIT
// Revisions by number, time, and git's own syntax.
#include "inspect/revision.hpp"

#include "inspect/failure.hpp"
#include "inspect/time_spec.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/git/first_parents.hpp"
#include "xsgit/git/walk.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

namespace xsgit::inspect {

namespace {

/// As it was typed: programs turn "-5min" into "now-5min" to tell it from options.
std::string typed(std::string_view spec) { return escape(spec.starts_with("now-") ? spec.substr(3) : spec); }

[[noreturn]] void no_revision(std::string_view spec, const std::string &why)
{
    throw ToolFailure(kNoRevision,
                      fmt::format("no such revision: {}{}{}", typed(spec), why.empty() ? "" : ": ", why));
}

[[noreturn]] void pruned(std::string_view spec, std::uint64_t oldest)
{
    throw ToolFailure(kPruned,
                      fmt::format("{} was pruned: the oldest commit kept is #{}", typed(spec), oldest));
}

struct Number {
    std::uint64_t seq = 0;
    std::uint32_t step = 0;
};

std::optional<Number> parse_number(std::string_view text)
{
    Number n;
    const char *const end = text.data() + text.size();
    auto [p, error] = std::from_chars(text.data(), end, n.seq);
    if (error != std::errc())
        return std::nullopt;
    if (p != end && *p == '.') {
        const auto step = std::from_chars(p + 1, end, n.step);
        if (step.ec != std::errc() || n.step == 0)
            return std::nullopt;
        p = step.ptr;
    }
    return p == end ? std::optional(n) : std::nullopt;
}

Oid step_of(const RepositoryView &view, const CommitInfo &merge, std::uint32_t step, std::string_view spec)
{
    const auto steps = side_commits(view.repo(), merge);
    for (const WalkedCommit &s : steps)
        if (s.trailers.step == step)
            return s.info.id;
    no_revision(spec, fmt::format("#{} has {} steps", parse_trailers(merge.message).seq, steps.size()));
}

/// Main is counted without gaps, so the place of a number is known: ids are enough to get there. Nullopt where others
/// committed, too, or history is shorter.
std::optional<WalkedCommit> at_its_place(const RepositoryView &view, std::uint64_t seq)
{
    const auto id = FirstParents(view.repo(), view.tip()).at(view.tip_seq() - seq);
    auto c = id ? HistoryWalk(view.repo(), *id).next() : std::nullopt;
    return c && c->trailers.seq == seq && c->trailers.step == 0 ? std::move(c) : std::nullopt;
}

Oid by_number(const RepositoryView &view, std::string_view spec)
{
    const auto wanted = parse_number(spec.substr(1));
    if (!wanted || wanted->seq == 0)
        no_revision(spec, "numbers begin at #1");
    if (wanted->seq > view.tip_seq())
        no_revision(spec, view.tip_seq() == 0 ? "there is no commit yet"
                                              : fmt::format("the newest is #{}", view.tip_seq()));
    const auto found = [&](const WalkedCommit &c) {
        return wanted->step == 0 ? c.info.id : step_of(view, c.info, wanted->step, spec);
    };
    if (const auto c = at_its_place(view, wanted->seq))
        return found(*c);
    std::uint64_t oldest = 0;
    HistoryWalk walk(view.repo(), view.tip());
    while (auto c = walk.next()) {
        if (c->trailers.seq == wanted->seq)
            return found(*c);
        if (c->trailers.seq != 0 && c->trailers.seq < wanted->seq)
            no_revision(spec, "this history does not have it");
        if (c->trailers.seq != 0)
            oldest = c->trailers.seq;
    }
    if (walk.was_cut())
        pruned(spec, oldest);
    no_revision(spec, "");
}

std::int64_t time_of(const WalkedCommit &c)
{
    return c.trailers.time_us != 0 ? c.trailers.time_us : c.info.seconds * 1'000'000;
}

/// Steps that double, then halves: the daemon's clock never runs backwards, so few commits have to be looked at.
Oid by_time(const RepositoryView &view, std::string_view spec, std::int64_t us, bool utc)
{
    FirstParents history(view.repo(), view.tip());
    const auto commit = [&](std::size_t n) {
        return HistoryWalk(view.repo(), *history.at(n)).next().value();
    };
    const auto in_time = [&](std::size_t n) { return time_of(commit(n)) <= us; };
    std::size_t later = 0; // so many at the end of history are later
    std::optional<std::size_t> found;
    for (std::size_t step = 1; !found && (history.at(later + step - 1) || later < history.read());
         step *= 2) {
        const std::size_t n = std::min(later + step, history.read()) - 1;
        if (in_time(n))
            found = n;
        else
            later = n + 1;
    }
    if (!found && later == 0)
        no_revision(spec, "there is no commit yet");
    if (!found && history.was_cut())
        pruned(spec, commit(later - 1).trailers.seq);
    if (!found)
        no_revision(spec, "history begins at " + long_time(time_of(commit(later - 1)), utc));
    while (later < *found) {
        const std::size_t middle = later + (*found - later) / 2;
        if (in_time(middle))
            found = middle;
        else
            later = middle + 1;
    }
    return *history.at(*found);
}

/// Git's HEAD and branches are the published ends, and a clone calls them otherwise; ours are the ends.
std::string for_git(const RepositoryView &view, std::string_view spec)
{
    const auto names = [&](std::string_view name) {
        return spec.starts_with(name) &&
               (spec.size() == name.size() || spec[name.size()] == '~' || spec[name.size()] == '^');
    };
    for (const std::string_view name : {"HEAD", "main", "@"})
        if (names(name))
            return view.tip().hex() + std::string(spec.substr(name.size()));
    if (const std::string_view name = "conflicts"; names(name) && !view.conflicts().is_null())
        return view.conflicts().hex() + std::string(spec.substr(name.size()));
    return std::string(spec);
}

/// Number of the oldest commit kept; nullopt if none was pruned.
std::optional<std::uint64_t> oldest_if_cut(const RepositoryView &view)
{
    std::uint64_t seq = 0;
    HistoryWalk walk(view.repo(), view.tip());
    while (auto c = walk.next())
        seq = c->trailers.seq;
    return walk.was_cut() ? std::optional(seq) : std::nullopt;
}

} // namespace

Oid resolve(const RepositoryView &view, std::string_view spec, bool utc)
{
    if (spec.empty()) {
        if (view.tip().is_null())
            throw ToolFailure(kNoRevision, "there is no commit yet in " + view.path());
        return view.tip();
    }
    if (spec.starts_with('#'))
        return by_number(view, spec);
    if (const auto us = parse_time(spec, now_us(), utc))
        return by_time(view, spec, *us, utc);
    if (view.tip().is_null())
        no_revision(spec, "there is no commit yet");
    std::optional<Oid> id;
    const std::string text = for_git(view, spec);
    try {
        id = view.repo().rev_parse(text);
    } catch (const GitError &) {
        // What git cannot make sense of, or what lies behind the end of history.
    }
    if (id && view.repo().exists(*id))
        return *id;
    // HEAD~100000 may have been there once.
    const std::size_t ancestor = text.find_first_of("~^");
    if (ancestor != text.npos && view.repo().rev_parse(text.substr(0, ancestor)))
        if (const auto oldest = oldest_if_cut(view))
            pruned(spec, *oldest);
    no_revision(spec, "");
}

Path parse_path(std::string_view text)
{
    std::string_view trimmed = text;
    while (trimmed.size() > 1 && trimmed.ends_with('/'))
        trimmed.remove_suffix(1);
    if (!trimmed.starts_with('/') && !trimmed.starts_with('@'))
        throw ToolFailure(kUsage, "not an absolute path of the store: " + escape(text));
    auto path = Path::parse(trimmed, 0, true);
    if (!path)
        throw ToolFailure(kUsage, "not a path of the store: " + escape(text));
    return *path;
}

RevisionAndPath split_revision(std::string_view text, bool utc)
{
    for (const std::string_view mark : {":/", ":@"})
        if (const std::size_t at = text.find(mark); at != text.npos)
            return {std::string(text.substr(0, at)), parse_path(text.substr(at + 1))};
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos || parse_time(text, now_us(), utc))
        return {std::string(text), std::nullopt};
    return {std::string(text.substr(0, colon)), parse_path(fmt::format("/{}", text.substr(colon + 1)))};
}

} // namespace xsgit::inspect
