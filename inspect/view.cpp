// SPDX-License-Identifier: MIT
// Which refs are the ends of history.
#include "inspect/view.hpp"

#include "inspect/failure.hpp"
#include "inspect/tail.hpp"
#include "xsgit/git/commit_message.hpp"
#include "xsgit/git/walk.hpp"

#include <cerrno>
#include <unistd.h>

namespace xsgit::inspect {

/// refs/xsgit/head is the daemon's own, which no user moves; clones do not have it.
Oid RepositoryView::read_tip() const
{
    for (const char *name : {"refs/xsgit/head", "refs/heads/main", "refs/remotes/origin/main"})
        if (const auto id = repo_->read_ref(name))
            return *id;
    return {};
}

Oid RepositoryView::read_conflicts() const
{
    for (const char *name : {"refs/heads/conflicts", "refs/remotes/origin/conflicts"})
        if (const auto id = repo_->read_ref(name))
            return *id;
    return {};
}

std::optional<std::uint64_t> RepositoryView::seq_of(const Oid &commit) const
{
    const auto info = repo_->commit(commit);
    return info ? std::optional(parse_trailers(info->message).seq) : std::nullopt;
}

/// Somebody may have committed on top of it in a clone.
void RepositoryView::must_be_a_store() const
{
    constexpr int kFar = 1000;
    if (tip_.is_null() && ::access((repo_->git_dir() + "/xsgit").c_str(), F_OK) == 0)
        return; // a daemon begins just now
    if (tip_.is_null())
        throw GitError(repo_->git_dir() + " is a git repository without a branch main: it is no store's");
    HistoryWalk walk(*repo_, tip_);
    for (int i = 0; i < kFar; ++i) {
        const auto c = walk.next();
        if (!c)
            break;
        if (c->trailers.seq != 0)
            return;
    }
    throw GitError(repo_->git_dir() +
                   " is a git repository, but no store's: its commits were not made by xenstored");
}

std::unique_ptr<RepositoryView> RepositoryView::open(const std::string &path)
{
    std::unique_ptr<RepositoryView> v(new RepositoryView(path));
    try {
        v->repo_ = Repository::open(path);
        v->published_ = v->tip_ = v->read_tip();
        v->conflicts_ = v->read_conflicts();
        if (!v->tip_.is_null()) {
            const auto seq = v->seq_of(v->tip_);
            if (!seq)
                throw GitError("the last commit, " + v->tip_.hex() + ", is missing in " +
                               v->repo_->git_dir());
            v->tip_seq_ = *seq;
        }
        const auto tail = read_tail(*v->repo_, [&](const std::string &text) { v->notes_.push_back(text); });
        if (!tail) {
            v->must_be_a_store();
            return v;
        }
        // Beside a live daemon its history may have gone on in the meantime.
        v->refresh();
        if (tail->seq > v->tip_seq_) {
            v->unpublished_ = tail->seq - v->tip_seq_;
            v->tip_ = tail->main;
            v->tip_seq_ = tail->seq;
        }
        const auto newest = v->conflicts_.is_null() ? std::nullopt : v->repo_->commit(v->conflicts_);
        if (!tail->conflicts.is_null() &&
            (!newest || parse_trailers(newest->message).conflict_number < tail->conflicts_number))
            v->conflicts_ = tail->conflicts;
    } catch (const GitError &e) {
        if (::access(path.c_str(), R_OK | X_OK) != 0 && errno == EACCES)
            throw ToolFailure(kNoRepository,
                              path + " may not be read: permission denied; it belongs to another user "
                                     "(root, for a Xen host): run this as that one.");
        throw ToolFailure(kNoRepository, std::string(e.what()) +
                                             "\nName the store's repository, or a clone of it, with "
                                             "--repo or in XS_REPO.");
    }
    return v;
}

bool RepositoryView::refresh()
{
    const Oid main = read_tip(), conflicts = read_conflicts();
    bool moved = false;
    if (main != published_ && !main.is_null()) {
        repo_->refresh();
        if (const auto seq = seq_of(main)) {
            published_ = main;
            if (*seq == 0 || *seq > tip_seq_) {
                tip_ = main;
                tip_seq_ = *seq;
                unpublished_ = 0;
                moved = true;
            }
        }
    }
    if (conflicts != conflicts_ && !conflicts.is_null()) {
        repo_->refresh();
        const auto now = repo_->commit(conflicts);
        const auto old = conflicts_.is_null() ? std::nullopt : repo_->commit(conflicts_);
        if (now && (!old || parse_trailers(old->message).conflict_number <
                                parse_trailers(now->message).conflict_number)) {
            conflicts_ = conflicts;
            moved = true;
        }
    }
    return moved;
}

} // namespace xsgit::inspect
