// SPDX-License-Identifier: MIT
// Paths into the tree, and changes copied up to the root. No recursion: a guest
// chooses the depth.
#include "xsgit/tree/tree.hpp"

#include <array>
#include <cassert>
#include <utility>
#include <vector>

namespace xsgit {

namespace {

/// Components below the start: the root for an absolute path, the directory of
/// hidden nodes for a special one.
std::string_view below_start(const Path &p) noexcept
{
    return p.is_special() ? std::string_view(p.str()) : std::string_view(p.str()).substr(1);
}

/// The nodes from the start to the parent of a path. Common depths need no heap.
class Ancestors {
public:
    /// False if one is missing. `path` is not the root.
    bool walk(const Node *start, std::string_view below)
    {
        const Node *n = start;
        Path::Components::iterator it(below), end(std::string_view{});
        while (n) {
            push(n);
            name_ = *it;
            if (++it == end)
                return true;
            n = n->children().find(name_);
        }
        return false;
    }

    std::string_view name() const noexcept { return name_; }
    const Node &parent() const noexcept { return *at(size_ - 1); }

    /// The start with the parent's children replaced.
    NodeRef rebuilt(Children changed) const
    {
        NodeRef n = parent().with_children(std::move(changed));
        for (std::size_t i = size_ - 1; i-- > 0;)
            n = at(i)->with_children(at(i)->children().with(std::move(n)));
        return n;
    }

private:
    static constexpr std::size_t kNear = 24;

    void push(const Node *n)
    {
        if (size_ < kNear)
            near_[size_] = n;
        else
            far_.push_back(n);
        ++size_;
    }
    const Node *at(std::size_t i) const noexcept { return i < kNear ? near_[i] : far_[i - kNear]; }

    std::array<const Node *, kNear> near_;
    std::vector<const Node *> far_;
    std::size_t size_ = 0;
    std::string_view name_;
};

} // namespace

Tree Tree::with_root(PermsRef perms)
{
    NodeRef root = Node::make("", nullptr, perms);
    return Tree(std::move(root), Node::make("", nullptr, std::move(perms)));
}

const Node *Tree::find(const Path &path) const noexcept
{
    const Node *n = path.is_special() ? special_.get() : root_.get();
    if (path.is_root())
        return n;
    Path::Components::iterator it(below_start(path)), end(std::string_view{});
    for (; n && it != end; ++it)
        n = n->children().find(*it);
    return n;
}

Tree Tree::put(const Path &path, NodeRef node) const
{
    if (path.is_root())
        return Tree(std::move(node), special_);
    assert(node && node->name() == path.name());
    Ancestors above;
    [[maybe_unused]] const bool found =
        above.walk(path.is_special() ? special_.get() : root_.get(), below_start(path));
    assert(found);
    NodeRef top = above.rebuilt(above.parent().children().with(std::move(node)));
    return path.is_special() ? Tree(root_, std::move(top)) : Tree(std::move(top), special_);
}

Tree Tree::remove(const Path &path) const
{
    assert(!path.is_root());
    Ancestors above;
    if (!above.walk(path.is_special() ? special_.get() : root_.get(), below_start(path)))
        return *this;
    const Children &old = above.parent().children();
    Children changed = old.without(above.name());
    if (changed.same(old))
        return *this;
    NodeRef top = above.rebuilt(std::move(changed));
    return path.is_special() ? Tree(root_, std::move(top)) : Tree(std::move(top), special_);
}

bool Tree::equal(const Tree &o) const
{
    if (empty() || o.empty())
        return empty() == o.empty();
    std::vector<std::pair<const Node *, const Node *>> todo = {{root_.get(), o.root_.get()},
                                                               {special_.get(), o.special_.get()}};
    while (!todo.empty()) {
        const auto [a, b] = todo.back();
        todo.pop_back();
        if (a == b)
            continue;
        if (!a || !b || a->value() != b->value() || !same_perms(a->perms(), b->perms()) ||
            a->children().size() != b->children().size() ||
            a->children().names_hash() != b->children().names_hash())
            return false;
        for (ChildDiff d(a->children(), b->children()); d.next();) {
            if (!d.before() || !d.after())
                return false;
            todo.emplace_back(d.before(), d.after());
        }
    }
    return true;
}

} // namespace xsgit
