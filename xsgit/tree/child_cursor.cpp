// SPDX-License-Identifier: MIT
// Walking the children in order.
#include "xsgit/tree/child_page.hpp"

#include <cassert>

namespace xsgit {

void Children::Cursor::push(const ChildPage *p, std::size_t index) noexcept
{
    assert(depth_ < kLevels);
    stack_[depth_++] = {p, static_cast<std::uint32_t>(index)};
}

void Children::Cursor::pop_finished() noexcept
{
    while (depth_ > 0 && stack_[depth_ - 1].index == stack_[depth_ - 1].page->used())
        if (--depth_ > 0)
            ++stack_[depth_ - 1].index;
}

void Children::Cursor::to_node() noexcept
{
    while (depth_ > 0 && !stack_[depth_ - 1].page->is_leaf())
        push(stack_[depth_ - 1].page->page(stack_[depth_ - 1].index), 0);
}

const Node *Children::Cursor::get() const noexcept
{
    if (depth_ == 0)
        return nullptr;
    const Level &top = stack_[depth_ - 1];
    return top.page->node(top.index);
}

void Children::Cursor::next() noexcept
{
    assert(depth_ > 0);
    ++stack_[depth_ - 1].index;
    pop_finished();
    to_node();
}

Children::Cursor Children::begin() const
{
    Cursor c;
    if (root_)
        c.push(root_.get(), 0);
    c.to_node();
    return c;
}

Children::Cursor Children::at_names_offset(std::size_t offset) const
{
    Cursor c;
    if (offset >= names_bytes())
        return c;
    const ChildPage *p = root_.get();
    for (; !p->is_leaf(); p = p->page(c.stack_[c.depth_ - 1].index)) {
        std::size_t i = 0;
        for (; offset >= p->page(i)->sums().names_bytes; ++i)
            offset -= p->page(i)->sums().names_bytes;
        c.push(p, i);
    }
    // The offset is in this page; if it is inside the last name, the next page begins.
    std::size_t i = 0;
    for (std::size_t at = 0; i < p->used() && at < offset; ++i)
        at += p->node(i)->name().size() + 1;
    c.push(p, i);
    c.pop_finished();
    c.to_node();
    return c;
}

} // namespace xsgit
