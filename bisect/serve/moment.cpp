// SPDX-License-Identifier: MIT
#include "bisect/serve/moment.hpp"

#include "inspect/failure.hpp"
#include "inspect/record.hpp"
#include "xsgit/git/walk.hpp"

namespace xsgit::bisect {

namespace {

constexpr std::uint32_t kEpoch = 1; // of annotations that nobody here reads

std::string first_line(const std::string &message) { return message.substr(0, message.find('\n')); }

} // namespace

bool was_introduced(const Repository &repo, const Oid &commit, std::uint32_t domid)
{
    const std::string home = " /local/domain/" + std::to_string(domid);
    HistoryWalk walk(repo, commit);
    while (const auto c = walk.next()) {
        const std::string subject = first_line(c->info.message);
        if (!subject.ends_with(home))
            continue;
        const std::string op = subject.substr(0, subject.size() - home.size());
        if (op == op_name(OpKind::Introduce))
            return true;
        if (op == op_name(OpKind::Release) || op == op_name(OpKind::Death))
            return false;
    }
    return walk.was_cut();
}

std::unique_ptr<PastState> state_at(const inspect::RepositoryView &view, const Oid &commit,
                                    const std::shared_ptr<LoadCache> &cache)
{
    const auto info = view.repo().commit(commit);
    if (!info)
        throw inspect::ToolFailure(inspect::kNoRevision, "no such commit: " + commit.hex());
    const Trailers trailers = parse_trailers(info->message);
    if (trailers.conflict_number != 0)
        throw inspect::ToolFailure(inspect::kNoRevision,
                                   commit.hex() +
                                       " is a transaction that was refused: there was no such state. "
                                       "Take the commit before it: #" +
                                       std::to_string(trailers.head_seq));
    if (trailers.seq == 0)
        throw inspect::ToolFailure(inspect::kNoRevision,
                                   commit.hex() +
                                       " was not made by xenstored: it holds no state of the store");
    return std::make_unique<PastState>(
        load_tree(view.repo(), info->tree, kEpoch, cache),
        [&view, commit](std::uint32_t domid) { return was_introduced(view.repo(), commit, domid); });
}

} // namespace xsgit::bisect
