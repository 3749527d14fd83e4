// SPDX-License-Identifier: MIT
#include "server/engine/culprit.hpp"

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

} // namespace

void RecentTrees::add(std::uint64_t seq, Tree after)
{
    entries_.push_back({seq, std::move(after)});
    if (entries_.size() > kKept)
        entries_.pop_front();
}

std::uint64_t RecentTrees::changed(const Path &path, std::uint64_t base_seq) const
{
    for (std::size_t i = entries_.size(); i-- > 1;) {
        if (entries_[i].seq <= base_seq)
            return 0;
        if (!looks_the_same(entries_[i - 1].tree, entries_[i].tree, path))
            return entries_[i].seq;
    }
    return 0;
}

} // namespace xsgit::server
