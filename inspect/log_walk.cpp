// SPDX-License-Identifier: MIT
// Two branches, walked at once and merged.
#include "inspect/log_walk.hpp"

namespace xsgit::inspect {

LogWalk::LogWalk(const RepositoryView &view, TreeReader &reader, const LogOptions &options, const Oid &tip,
                 const Oid &conflicts)
    : repo_(view.repo()), reader_(reader), options_(options), main_(view.repo(), tip),
      refused_(view.repo(), conflicts)
{
    if (options_.filter.errors)
        main_done_ = true;
    else
        step_main();
    refused_done_ = !options_.conflicts || conflicts.is_null();
}

/// A daemon may drop the oldest epoch while we walk into it.
void LogWalk::step_main()
{
    try {
        ahead_ = main_.next();
    } catch (const GitError &) {
        if (!last_.is_null() && repo_.is_shallow(last_))
            ahead_.reset();
        else
            throw;
    }
    if (ahead_)
        last_ = ahead_->info.id;
}

/// Time never runs backwards along a branch.
bool LogWalk::done_with(const WalkedCommit &c) const
{
    const Trailers &t = c.trailers;
    if (t.seq != 0 && t.seq <= options_.after_seq)
        return true;
    if (t.conflict_number != 0 && t.conflict_number <= options_.after_conflict)
        return true;
    return options_.filter.since_us && t.time_us != 0 && t.time_us < *options_.filter.since_us;
}

/// Puts the wanted steps into `e`. True if there is one.
bool LogWalk::add_steps(LogEntry &e, const CommitInfo &merge)
{
    const LogFilter &f = options_.filter;
    std::optional<Oid> before;
    for (const WalkedCommit &c : side_commits(repo_, merge)) {
        if (!before) {
            const auto fork = c.info.parents.empty() || repo_.is_shallow(c.info.id)
                                  ? std::nullopt
                                  : repo_.commit(c.info.parents[0]);
            if (fork)
                e.fork = *(before = fork->tree);
        }
        LogRecord r = make_record(repo_, c);
        const bool touches = before ? f.matches_paths(reader_, *before, r.tree) : f.matches_named_path(r);
        before = r.tree;
        if (touches && f.matches_operation(r))
            e.steps.push_back(std::move(r));
    }
    return !e.steps.empty();
}

std::optional<LogEntry> LogWalk::examine(const WalkedCommit &c, std::optional<Oid> before)
{
    const LogFilter &f = options_.filter;
    LogEntry e{make_record(repo_, c), before, {}, {}};
    const LogRecord &r = e.record;
    if (!f.matches_actor(r))
        return std::nullopt;
    if (r.kind == LogRecord::Kind::Conflict || !before) {
        if (!f.matches_named_path(r))
            return std::nullopt;
    } else if (!f.may_touch_paths(r) || !f.matches_paths(reader_, *before, r.tree)) {
        return std::nullopt;
    }
    bool wanted = f.matches_operation(r);
    if (r.transaction && (options_.steps || (!wanted && f.wants_steps())))
        wanted |= add_steps(e, c.info);
    if (!options_.steps)
        e.steps.clear();
    return wanted ? std::optional(std::move(e)) : std::nullopt;
}

std::optional<LogEntry> LogWalk::next_main()
{
    while (ahead_ && !main_done_) {
        const WalkedCommit c = std::move(*ahead_);
        ahead_.reset();
        if (done_with(c)) {
            main_done_ = true;
            break;
        }
        step_main();
        std::optional<Oid> before = Oid{};
        if (ahead_)
            before = ahead_->info.tree;
        else if (!c.info.parents.empty())
            before.reset();
        if (!ahead_ && c.trailers.seq > options_.after_seq + 1 && options_.after_seq != 0)
            lost_ = true;
        if (auto e = examine(c, before))
            return e;
    }
    main_done_ = true;
    return std::nullopt;
}

std::optional<LogEntry> LogWalk::next_conflict()
{
    while (!refused_done_) {
        const auto c = refused_.next();
        if (!c || done_with(*c)) {
            refused_done_ = true;
            break;
        }
        if (auto e = examine(*c, std::nullopt))
            return e;
    }
    return std::nullopt;
}

std::optional<LogEntry> LogWalk::next()
{
    if (!main_entry_)
        main_entry_ = next_main();
    if (!refused_entry_)
        refused_entry_ = next_conflict();
    // A transaction that was refused when main was at N comes behind commit N.
    const bool conflict_next =
        refused_entry_ && (!main_entry_ || refused_entry_->record.seq >= main_entry_->record.seq);
    std::optional<LogEntry> &chosen = conflict_next ? refused_entry_ : main_entry_;
    std::optional<LogEntry> out = std::move(chosen);
    chosen.reset();
    return out;
}

std::optional<LogEntry> LogWalk::entry(const Oid &commit)
{
    HistoryWalk walk(repo_, commit);
    const auto c = walk.next();
    if (!c)
        return std::nullopt;
    if (c->trailers.conflict_number != 0)
        return examine(*c, std::nullopt);
    std::optional<Oid> before = Oid{};
    if (!c->info.parents.empty()) {
        const auto parent = repo_.is_shallow(commit) ? std::nullopt : repo_.commit(c->info.parents[0]);
        before = parent ? std::optional(parent->tree) : std::nullopt;
    }
    return examine(*c, before);
}

} // namespace xsgit::inspect
