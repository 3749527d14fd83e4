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

} // namespace

/// The nodes from the start to the parent of a path. Common depths need no heap.
class Ancestors {
public:
    /// False if one is missing. `below` is not empty. With `own`, `start` is held by one
    /// version only, which may be changed.
    bool walk(const Node *start, std::string_view below, bool own)
    {
        const Node *n = start;
        Path::Components::iterator it(below), end(std::string_view{});
        while (n) {
            push(n);
            own_ += own;
            name_ = *it;
            if (++it == end)
                return true;
            n = own ? n->children().find_own(name_, own) : n->children().find(name_);
        }
        return false;
    }

    std::string_view name() const noexcept { return name_; }
    const Node &parent() const noexcept { return *at(size_ - 1); }

    /// Has `node` below the parent. Returns the start, a new one unless it is owned.
    NodeRef put(NodeRef node) const
    {
        std::size_t i = size_;
        for (; i > own_; --i)
            node = at(i - 1)->with_children(at(i - 1)->children().with(std::move(node)));
        if (i > 0)
            change(i - 1, [&](Children c) { return std::move(c).with(std::move(node)); });
        return i > 0 ? NodeRef(at(0)) : node;
    }

    /// Has no node name() below the parent, where there is one.
    NodeRef remove() const
    {
        const std::size_t last = size_ - 1;
        if (own_ == size_) {
            change(last, [&](Children c) { return std::move(c).without(name_); });
            return NodeRef(at(0));
        }
        NodeRef node = parent().with_children(parent().children().without(name_));
        if (last == 0)
            return node;
        Ancestors above = *this;
        above.size_ = last;
        return above.put(std::move(node));
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

    /// Changes the children of an owned node, which says that it and all above it are
    /// not what the annotations were made for.
    template <class F>
    void change(std::size_t i, F f) const
    {
        for (std::size_t k = 0; k <= i; ++k)
            at(k)->note.reset();
        Children &c = const_cast<Node *>(at(i))->children_;
        c = f(std::move(c));
    }

    std::array<const Node *, kNear> near_;
    std::vector<const Node *> far_;
    std::size_t size_ = 0;
    std::size_t own_ = 0; // the first so many may be changed in place
    std::string_view name_;
};

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

Tree Tree::put(const Path &path, NodeRef node) const & { return Tree(*this).put(path, std::move(node)); }

Tree Tree::put(const Path &path, NodeRef node) &&
{
    NodeRef &top = top_of(path);
    if (path.is_root()) {
        top = std::move(node);
        return std::move(*this);
    }
    assert(node && node->name() == path.name());
    Ancestors above;
    [[maybe_unused]] const bool found = above.walk(top.get(), below_start(path), top->ref_count() == 1);
    assert(found);
    top = above.put(std::move(node));
    return std::move(*this);
}

Tree Tree::remove(const Path &path) const & { return Tree(*this).remove(path); }

Tree Tree::remove(const Path &path) &&
{
    assert(!path.is_root());
    NodeRef &top = top_of(path);
    Ancestors above;
    if (above.walk(top.get(), below_start(path), top->ref_count() == 1) &&
        above.parent().children().find(above.name()))
        top = above.remove();
    return std::move(*this);
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
