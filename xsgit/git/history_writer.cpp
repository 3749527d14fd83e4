// SPDX-License-Identifier: MIT
#include "xsgit/git/history_writer.hpp"

#include "xsgit/git/commit_message.hpp"
#include "xsgit/git/repository.hpp"
#include "xsgit/git/tree_encoder.hpp"
#include "xsgit/git/tree_text.hpp"

#include <cassert>
#include <deque>
#include <map>
#include <utility>

namespace xsgit {

namespace {

/// Of objects for the steps of one transaction. A guest may make a thousand changes a thousand levels deep in one: all
/// trees on the way, for each of them, would fill any file system.
constexpr std::size_t kSideBranchBytes = 4u << 20;

} // namespace

struct HistoryWriter::Impl {
    Tips tips;
    std::uint32_t epoch;
    EpochStart start;
    const Repository *published;
    PackBuffer pack;
    bool in_gap = false;

    std::deque<Oid> commits;        // main's, gapless, up to the tip
    std::uint64_t first_commit = 0; // seq of the first of them
    std::map<std::uint64_t, Oid> remembered;
    // Of the epoch before: transactions that started there may be open still, and a checkpoint names their bases.
    std::deque<Oid> previous;
    std::uint64_t first_previous = 0;

    /// The tip of conflicts with its tree and files: an epoch begins with a copy of it.
    std::vector<std::pair<Oid, GitObject>> last_conflict;

    Impl(const Tips &t, std::uint32_t e, const EpochStart &s, const Repository *p)
        : tips(t), epoch(e), start(s), published(p)
    {
        if (tips.seq != 0) {
            commits.push_back(tips.main);
            first_commit = tips.seq;
        }
    }

    Oid put(ObjectType type, const std::string &content)
    {
        const Oid id = hash_object(type, content);
        pack.put(type, id, content);
        return id;
    }

    Oid put_commit(const Oid &tree, const std::vector<Oid> &parents, std::uint32_t domid,
                   std::int64_t wall_us, const std::string &message)
    {
        return put(ObjectType::Commit, commit_object(tree, parents, domid, wall_us, message));
    }

    bool in_epoch(std::uint64_t seq) const noexcept
    {
        return start.seq != 0 && seq >= start.seq && seq <= tips.seq;
    }

    /// For what a checkpoint names: of this epoch and the one before.
    std::optional<Oid> find_base(std::uint64_t seq)
    {
        if (const auto known = remembered.find(seq); known != remembered.end())
            return known->second;
        if (seq >= first_previous && seq - first_previous < previous.size())
            return previous[seq - first_previous];
        return find_commit(seq);
    }

    /// For what history names: of this epoch alone, which must stand without the others.
    std::optional<Oid> find_commit(std::uint64_t seq)
    {
        if (!in_epoch(seq))
            return std::nullopt;
        while (seq < first_commit) {
            const auto commit = published ? published->commit(commits.front()) : std::nullopt;
            if (!commit || commit->parents.empty())
                return std::nullopt;
            commits.push_front(commit->parents.front());
            --first_commit;
        }
        return commits[seq - first_commit];
    }

    /// The transaction's own branch; returns its end.
    Oid put_side_branch(const Change &c)
    {
        const bool forked_here = !c.fork.empty();
        Oid parent = find_commit(c.fork_seq).value_or(tips.main);
        const Tree *tree = forked_here ? &c.fork : &c.before;
        const std::size_t begin = pack.bytes();
        std::size_t done = 0; // steps that have a commit
        for (std::size_t k = 1; k <= c.steps.size(); ++k) {
            if (pack.bytes() - begin > kSideBranchBytes && k != c.steps.size())
                continue; // the last commit holds this one, too
            const Tree &after = c.steps[k - 1].after;
            const Oid id = encode_tree(*tree, after, epoch, pack);
            parent = put_commit(id, {parent}, c.actor.domid, c.wall_us, step_message(c, k, k - done));
            done = k;
            if (start.seq == 0 && k == 1)
                start.side = parent;
            tree = &after;
        }
        return parent;
    }

    /// What the tree was encoded to since is in no pack: all of it is written.
    void end_gap(const NewEpoch &e, const Tree &head)
    {
        in_gap = false;
        tips.conflicts_number = e.conflicts;
        if (!head.empty())
            tips.main_tree = encode_tree({}, head, epoch, pack);
        if (e.seq != tips.seq) {
            std::vector<Oid> parents;
            if (tips.seq != 0)
                parents.push_back(tips.main);
            tips.main = put_commit(tips.main_tree, parents, 0, e.wall_us,
                                   gap_message(tips.seq + 1, e.seq, e.wall_us));
            tips.seq = e.seq;
            start.seq = e.seq;
            start.main = tips.main;
        }
        // Transactions that are open start from here now: the engine has rebased them.
        remembered[tips.seq] = tips.main;
        if (start.seq != 0) {
            commits.push_back(tips.main);
            first_commit = tips.seq;
        }
        carry_conflict_over();
    }

    void carry_conflict_over()
    {
        if (tips.conflicts.is_null())
            return;
        if (last_conflict.empty() && !read_last_conflict()) {
            last_conflict.clear();
            tips.conflicts = {}; // the branch begins anew
            return;
        }
        for (const auto &[id, object] : last_conflict)
            pack.put(object.type, id, object.content);
        start.conflicts = tips.conflicts;
    }

    /// False: somebody has taken objects of it away.
    bool read_last_conflict()
    {
        const auto read = [this](const Oid &id) {
            auto object = published ? published->object(id) : std::nullopt;
            if (object)
                last_conflict.emplace_back(id, std::move(*object));
            return object.has_value();
        };
        const auto commit = published ? published->commit(tips.conflicts) : std::nullopt;
        if (!commit || !read(tips.conflicts) || !read(commit->tree))
            return false;
        const std::string content = last_conflict.back().second.content;
        tree_text::Reader files(content);
        for (tree_text::Entry e; files.next(e);)
            if (!read(e.id))
                return false;
        return true;
    }
};

HistoryWriter::HistoryWriter(const Tips &tips, const Tree &head, std::uint32_t epoch, const EpochStart &start,
                             const Repository *published)
    : impl_(std::make_unique<Impl>(tips, epoch, start, published))
{
    // Nothing to write for a loaded tree; one that is not annotated is written whole.
    if (!head.empty())
        impl_->tips.main_tree = encode_tree(head, head, epoch, impl_->pack);
}

HistoryWriter::~HistoryWriter() = default;

void HistoryWriter::on_change(const Change &c)
{
    Impl &s = *impl_;
    if (s.in_gap)
        return;
    assert(c.seq == s.tips.seq + 1);
    std::vector<Oid> parents;
    if (s.tips.seq != 0)
        parents.push_back(s.tips.main);
    if (c.op.kind == OpKind::Commit && !c.steps.empty() && s.tips.seq != 0)
        parents.push_back(s.put_side_branch(c));
    s.tips.main_tree = encode_tree(c.before, c.after, s.epoch, s.pack);
    s.tips.main = s.put_commit(s.tips.main_tree, parents, c.actor.domid, c.wall_us, main_message(c));
    s.tips.seq = c.seq;
    if (s.commits.empty())
        s.first_commit = c.seq;
    s.commits.push_back(s.tips.main);
    if (s.start.seq == 0) {
        s.start.seq = c.seq;
        s.start.main = s.tips.main;
    }
}

void HistoryWriter::on_conflict(const Conflict &c)
{
    Impl &s = *impl_;
    if (s.in_gap)
        return;
    assert(c.number == s.tips.conflicts_number + 1);
    const std::optional<Oid> culprit = s.find_commit(c.culprit_seq);
    s.last_conflict.clear();
    const auto put = [&s](ObjectType type, std::string content) {
        const Oid id = s.put(type, content);
        s.last_conflict.emplace_back(id, GitObject{type, std::move(content)});
        return id;
    };
    std::string tree;
    tree_text::append(tree, "log", false, put(ObjectType::Blob, conflict_log(c)));
    tree_text::append(tree, "summary", false, put(ObjectType::Blob, conflict_summary(c, culprit)));
    const Oid tree_id = put(ObjectType::Tree, std::move(tree));
    std::vector<Oid> parents;
    if (!s.tips.conflicts.is_null())
        parents.push_back(s.tips.conflicts);
    s.tips.conflicts = put(ObjectType::Commit, commit_object(tree_id, parents, c.actor.domid, c.wall_us,
                                                             conflict_message(c, culprit)));
    s.tips.conflicts_number = c.number;
    if (s.start.conflicts.is_null())
        s.start.conflicts = s.tips.conflicts;
}

void HistoryWriter::on_epoch(const NewEpoch &e, const Tree &head)
{
    Impl &s = *impl_;
    if (s.in_gap) {
        s.start = {};
        s.epoch = e.number;
        if (e.ends_gap && e.seq >= s.tips.seq) // else it ended an older one: what came behind that is there
            s.end_gap(e, head);
        return;
    }
    // Bases lie in the epoch that ends now, or are its last commit: the engine has rebased older ones.
    const std::uint64_t oldest = s.start.seq != 0 ? s.start.seq : s.tips.seq;
    s.remembered.erase(s.remembered.begin(), s.remembered.lower_bound(oldest));
    if (s.tips.seq != 0)
        s.remembered[s.tips.seq] = s.tips.main;
    s.previous = std::exchange(s.commits, {});
    s.first_previous = s.first_commit;
    s.epoch = e.number;
    s.start = {};
    if (!head.empty())
        encode_keyframe(head, s.epoch, s.pack);
    s.carry_conflict_over();
}

void HistoryWriter::give_up(const Tips &written)
{
    Impl &s = *impl_;
    s.in_gap = true;
    s.tips = written;
    s.start = {};
    s.pack.finish(); // and forget it
    for (std::deque<Oid> *ids : {&s.commits, &s.previous})
        ids->clear();
    s.remembered.clear();
    s.last_conflict.clear();
}

bool HistoryWriter::in_gap() const noexcept { return impl_->in_gap; }

const Tips &HistoryWriter::tips() const noexcept { return impl_->tips; }
std::uint32_t HistoryWriter::epoch() const noexcept { return impl_->epoch; }
const PackBuffer &HistoryWriter::pack() const noexcept { return impl_->pack; }
PackBuffer &HistoryWriter::pack() noexcept { return impl_->pack; }
const EpochStart &HistoryWriter::epoch_start() const noexcept { return impl_->start; }

std::optional<Oid> HistoryWriter::commit_of(std::uint64_t seq) const { return impl_->find_base(seq); }

void HistoryWriter::remember(std::uint64_t seq, const Oid &commit) { impl_->remembered[seq] = commit; }

} // namespace xsgit
