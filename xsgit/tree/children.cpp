// SPDX-License-Identifier: MIT
// Look-up, insertion and removal in the persistent B-tree.
//
// The recursions here go over the levels of one B-tree, never over the store: at
// most Cursor::kLevels deep.
#include "xsgit/tree/children.hpp"

#include "xsgit/tree/child_page.hpp"

#include <cassert>

namespace xsgit {

namespace {

struct Insertion {
    NameKey key;
    const Node *node;
    ChildSums added; // set at level 0: nothing if a node was replaced
};

PageBuilder::Pages insert(const ChildPage &p, Insertion &in)
{
    if (p.is_leaf()) {
        const auto [i, exact] = p.locate(in.key);
        if (exact)
            return {p.replaced(i, in.node), nullptr};
        in.added = ChildSums::of(in.key.name);
        PageBuilder b(0);
        b.add(p, 0, i);
        b.add(in.key, in.node);
        b.add(p, i, p.used());
        ChildSums sums = p.sums();
        return b.build(sums += in.added);
    }
    const std::size_t i = p.locate_page(in.key);
    const PageBuilder::Pages below = insert(*p.page(i), in);
    ChildSums sums = p.sums();
    sums += in.added;
    if (!below.right)
        return {p.replaced(i, below.left.get(), sums), nullptr};
    PageBuilder b(p.level());
    b.add(p, 0, i);
    b.add(below.left.get());
    b.add(below.right.get());
    b.add(p, i + 1, p.used());
    return b.build(sums);
}

/// Two neighbours' entries in one page, or evenly in two.
PageBuilder::Pages join(const ChildPage &left, const ChildPage &right)
{
    PageBuilder b(left.level());
    b.add(left, 0, left.used());
    b.add(right, 0, right.used());
    ChildSums sums = left.sums();
    return b.build(sums += right.sums());
}

/// Null if nothing is left. The key is there. The result may be below kMin.
Ref<const ChildPage> erase(const ChildPage &p, const NameKey &key, const ChildSums &gone)
{
    ChildSums sums = p.sums();
    sums -= gone;
    if (p.is_leaf()) {
        if (p.used() == 1)
            return nullptr;
        const std::size_t i = p.locate(key).index;
        PageBuilder b(0);
        b.add(p, 0, i);
        b.add(p, i + 1, p.used());
        return b.build(sums).left;
    }
    const std::size_t i = p.locate_page(key);
    const Ref<const ChildPage> below = erase(*p.page(i), key, gone);
    assert(below && p.used() > 1); // below the root, pages hold kMin entries
    if (below->used() >= ChildPage::kMin)
        return p.replaced(i, below.get(), sums);
    const std::size_t left = i == 0 ? 0 : i - 1;
    const PageBuilder::Pages joined = i == 0 ? join(*below, *p.page(1)) : join(*p.page(left), *below);
    PageBuilder b(p.level());
    b.add(p, 0, left);
    b.add(joined.left.get());
    if (joined.right)
        b.add(joined.right.get());
    b.add(p, left + 2, p.used());
    return b.build(sums).left;
}

} // namespace

Children::Children() noexcept = default;
Children::Children(const Children &) noexcept = default;
Children::Children(Children &&) noexcept = default;
Children::Children(Ref<const ChildPage> root) noexcept : root_(std::move(root)) {}
Children::~Children() = default;

Children &Children::operator=(Children o) noexcept
{
    root_ = std::move(o.root_);
    return *this;
}

std::size_t Children::size() const noexcept { return root_ ? root_->sums().count : 0; }
std::size_t Children::names_bytes() const noexcept { return root_ ? root_->sums().names_bytes : 0; }
std::uint64_t Children::names_hash() const noexcept { return root_ ? root_->sums().names_hash : 0; }

const Node *Children::find(std::string_view name) const noexcept
{
    const ChildPage *p = root_.get();
    if (!p)
        return nullptr;
    const NameKey key(name);
    while (!p->is_leaf())
        p = p->page(p->locate_page(key));
    const auto [i, exact] = p->locate(key);
    return exact ? p->node(i) : nullptr;
}

Children Children::with(NodeRef child) const
{
    assert(child);
    Insertion in{NameKey(child->name()), child.get(), {}};
    if (!root_) {
        PageBuilder b(0);
        b.add(in.key, in.node);
        return Children(b.build(ChildSums::of(in.key.name)).left);
    }
    PageBuilder::Pages top = insert(*root_, in);
    if (!top.right)
        return Children(std::move(top.left));
    PageBuilder b(root_->level() + 1);
    b.add(top.left.get());
    b.add(top.right.get());
    ChildSums sums = top.left->sums();
    return Children(b.build(sums += top.right->sums()).left);
}

Children Children::without(std::string_view name) const
{
    if (!find(name))
        return *this;
    Ref<const ChildPage> top = erase(*root_, NameKey(name), ChildSums::of(name));
    if (top && !top->is_leaf() && top->used() == 1)
        top = Ref<const ChildPage>(top->page(0));
    return Children(std::move(top));
}

} // namespace xsgit
