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

/// Whether a page may be changed in place: `own` says that there is only one way to
/// what holds it, and that holds one reference.
bool only_here(const ChildPage &p, bool own) noexcept { return own && p.ref_count() == 1; }

ChildPage &own_page(const ChildPage &p) noexcept { return const_cast<ChildPage &>(p); }

/// The page with another page as its entry i.
Ref<const ChildPage> replace(const ChildPage &p, bool own, std::size_t i, const ChildPage *below,
                             const ChildSums &sums)
{
    if (!own)
        return p.replaced(i, below, sums);
    own_page(p).replace(i, below);
    own_page(p).set_sums(sums);
    return Ref<const ChildPage>(&p);
}

PageBuilder::Pages insert_node(const ChildPage &p, bool own, Insertion &in)
{
    const auto [i, exact] = p.locate(in.key);
    if (exact) {
        if (!own)
            return {p.replaced(i, in.node), nullptr};
        own_page(p).replace(i, in.node);
        return {Ref<const ChildPage>(&p), nullptr};
    }
    in.added = ChildSums::of(in.key.name);
    ChildSums sums = p.sums();
    sums += in.added;
    if (own && p.has_room()) {
        own_page(p).insert(i, in.node);
        own_page(p).set_sums(sums);
        return {Ref<const ChildPage>(&p), nullptr};
    }
    PageBuilder b(0);
    b.add(p, 0, i);
    b.add(in.key, in.node);
    b.add(p, i, p.used());
    return b.build(sums);
}

PageBuilder::Pages insert(const ChildPage &p, bool own, Insertion &in)
{
    own = only_here(p, own);
    if (p.is_leaf())
        return insert_node(p, own, in);
    const std::size_t i = p.locate_page(in.key);
    const PageBuilder::Pages below = insert(*p.page(i), own, in);
    ChildSums sums = p.sums();
    sums += in.added;
    if (!below.right)
        return {replace(p, own, i, below.left.get(), sums), nullptr};
    if (own && p.has_room()) {
        own_page(p).insert(i + 1, below.right.get());
        return {replace(p, own, i, below.left.get(), sums), nullptr};
    }
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

Ref<const ChildPage> erase_node(const ChildPage &p, bool own, const NameKey &key, const ChildSums &sums)
{
    if (p.used() == 1)
        return nullptr;
    const std::size_t i = p.locate(key).index;
    if (own) {
        own_page(p).erase(i);
        own_page(p).set_sums(sums);
        return Ref<const ChildPage>(&p);
    }
    PageBuilder b(0);
    b.add(p, 0, i);
    b.add(p, i + 1, p.used());
    return b.build(sums).left;
}

/// Null if nothing is left. The key is there. The result may be below kMin.
Ref<const ChildPage> erase(const ChildPage &p, bool own, const NameKey &key, const ChildSums &gone)
{
    own = only_here(p, own);
    ChildSums sums = p.sums();
    sums -= gone;
    if (p.is_leaf())
        return erase_node(p, own, key, sums);
    const std::size_t i = p.locate_page(key);
    const Ref<const ChildPage> below = erase(*p.page(i), own, key, gone);
    assert(below && p.used() > 1); // below the root, pages hold kMin entries
    if (below->used() >= ChildPage::kMin)
        return replace(p, own, i, below.get(), sums);
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

const Node *Children::find_own(std::string_view name, bool &own) const noexcept
{
    const ChildPage *p = root_.get();
    if (!p)
        return nullptr;
    const NameKey key(name);
    own = only_here(*p, own);
    while (!p->is_leaf()) {
        p = p->page(p->locate_page(key));
        own = only_here(*p, own);
    }
    const auto [i, exact] = p->locate(key);
    if (!exact)
        return nullptr;
    own = own && p->node(i)->ref_count() == 1;
    return p->node(i);
}

Children Children::put(NodeRef child, bool own) const
{
    assert(child);
    Insertion in{NameKey(child->name()), child.get(), {}};
    if (!root_) {
        PageBuilder b(0);
        b.add(in.key, in.node);
        return Children(b.build(ChildSums::of(in.key.name)).left);
    }
    PageBuilder::Pages top = insert(*root_, own, in);
    if (!top.right)
        return Children(std::move(top.left));
    PageBuilder b(root_->level() + 1);
    b.add(top.left.get());
    b.add(top.right.get());
    ChildSums sums = top.left->sums();
    return Children(b.build(sums += top.right->sums()).left);
}

Children Children::drop(std::string_view name, bool own) const
{
    if (!find(name))
        return *this;
    Ref<const ChildPage> top = erase(*root_, own, NameKey(name), ChildSums::of(name));
    if (top && !top->is_leaf() && top->used() == 1)
        top = Ref<const ChildPage>(top->page(0));
    return Children(std::move(top));
}

Children Children::with(NodeRef child) const & { return put(std::move(child), false); }
Children Children::with(NodeRef child) && { return put(std::move(child), true); }
Children Children::without(std::string_view name) const & { return drop(name, false); }
Children Children::without(std::string_view name) && { return drop(name, true); }

} // namespace xsgit
