// SPDX-License-Identifier: MIT
#include "server/engine/culprit.hpp"

#include <algorithm>

namespace xsgit::server {
namespace {

/// The node at `path` or the nearest one above, and how deep that is.
std::pair<const Node *, std::size_t> nearest(const Tree &t, const Path &path)
{
    if (path.is_special())
        return {t.find(path), 0};
    const Node *n = t.root().get();
    std::size_t depth = 0;
    for (const std::string_view c : path.components()) {
        const Node *next = n->children().find(c);
        if (!next)
            break;
        n = next;
        ++depth;
    }
    return {n, depth};
}

bool looks_the_same(const Tree &a, const Tree &b, const Path &path)
{
    const auto [x, dx] = nearest(a, path);
    const auto [y, dy] = nearest(b, path);
    if (x == y)
        return true;
    if (!x || !y || dx != dy || !same_perms(x->perms(), y->perms()))
        return false;
    // Above an absent node only its absence matters.
    if (!path.is_special() && dx < path.depth())
        return true;
    return x->value() == y->value() && x->children().names_hash() == y->children().names_hash();
}

bool is_single(OpKind k) noexcept
{
    return k == OpKind::Write || k == OpKind::Mkdir || k == OpKind::Rm || k == OpKind::SetPerms;
}

Path prefix(const Path &path, std::size_t depth)
{
    Path p;
    for (const std::string_view c : path.components()) {
        if (depth-- == 0)
            break;
        p = p.child(c);
    }
    return p;
}

} // namespace

void RecentChanges::add(const Change &c, std::size_t bytes)
{
    Entry e;
    e.by = {c.seq, c.actor.domid};
    e.bytes = bytes;
    if (!is_single(c.op.kind)) {
        e.before = c.before;
        e.after = c.after;
    } else {
        e.path = Path::trusted(std::string(c.op.path));
        const auto [x, dx] = nearest(c.before, e.path);
        const auto [y, dy] = nearest(c.after, e.path);
        if (dx != dy) {
            e.existence = true;
            e.path = prefix(e.path, std::min(dx, dy) + 1);
        } else if (x && y) {
            e.perms = !same_perms(x->perms(), y->perms());
            e.node_itself = e.perms || x->value() != y->value();
        }
    }
    bytes_ += bytes;
    entries_.push_back(std::move(e));
    for (; entries_.size() > kKept || bytes_ > kKeptBytes; entries_.pop_front())
        bytes_ -= entries_.front().bytes;
}

bool RecentChanges::touches(const Entry &e, const Path &path, const Tree &now)
{
    if (!e.after.empty())
        return !e.before.empty() && !looks_the_same(e.before, e.after, path);
    if (e.existence)
        return e.path.contains(path) || (!path.is_special() && e.path.parent() == path);
    if (e.path == path)
        return e.node_itself;
    // Of an absent node the nearest one above decides who may know. That it was absent then, too: a change since
    // would be a newer culprit.
    return e.perms && e.path.contains(path) && nearest(now, path).second == e.path.depth();
}

RecentChanges::Culprit RecentChanges::changed(const Path &path, const Tree &now, std::uint64_t base_seq) const
{
    for (auto e = entries_.rbegin(); e != entries_.rend() && e->by.seq > base_seq; ++e)
        if (touches(*e, path, now))
            return e->by;
    return {};
}

} // namespace xsgit::server
