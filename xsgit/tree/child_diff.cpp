// SPDX-License-Identifier: MIT
// The difference of two B-trees that share pages.
//
// Both cursors may stand on a page of a higher level that has not been entered.
// Equal pages met at the same time are passed as a whole; otherwise the one that
// begins first is entered, as the other may yet turn out to be shared further on.
#include "xsgit/tree/child_page.hpp"

namespace xsgit {

namespace {

struct Entry {
    std::size_t height = 0;          // 0: a node
    const ChildPage *page = nullptr; // if height > 0
    const Node *first = nullptr;
    std::uint64_t prefix = 0;
};

/// Order of the first names.
int compare(const Entry &a, const Entry &b) noexcept
{
    if (a.first == b.first)
        return 0;
    if (a.prefix != b.prefix)
        return a.prefix < b.prefix ? -1 : 1;
    return a.first->name().compare(b.first->name());
}

} // namespace

ChildDiff::ChildDiff(const Children &before, const Children &after)
{
    if (before.same(after))
        return;
    if (before.root_)
        a_.push(before.root_.get(), 0);
    if (after.root_)
        b_.push(after.root_.get(), 0);
}

bool ChildDiff::next()
{
    const auto entry = [](const Children::Cursor &c) {
        const auto &[page, i] = c.stack_[c.depth_ - 1];
        return Entry{page->level(), page->is_leaf() ? nullptr : page->page(i), page->first_of(i),
                     page->prefix(i)};
    };
    const auto advance = [](Children::Cursor &c) {
        ++c.stack_[c.depth_ - 1].index;
        c.pop_finished();
    };
    before_ = after_ = nullptr;
    while (a_.depth_ > 0 || b_.depth_ > 0) {
        ++visits_;
        const Entry a = a_.depth_ > 0 ? entry(a_) : Entry();
        const Entry b = b_.depth_ > 0 ? entry(b_) : Entry();
        const int order = !a.first ? 1 : !b.first ? -1 : compare(a, b);
        if (order == 0 && a.height == b.height) {
            const bool shared = a.height > 0 ? a.page == b.page : a.first == b.first;
            if (shared || a.height == 0) {
                advance(a_);
                advance(b_);
                if (shared)
                    continue;
                before_ = a.first;
                after_ = b.first;
                return true;
            }
        }
        const bool enter_a = a.height > 0 && (order < 0 || (order == 0 && a.height >= b.height));
        const bool enter_b = b.height > 0 && (order > 0 || (order == 0 && b.height >= a.height));
        if (enter_a)
            a_.push(a.page, 0);
        if (enter_b)
            b_.push(b.page, 0);
        if (enter_a || enter_b)
            continue;
        if (order < 0) {
            before_ = a.first;
            advance(a_);
        } else {
            after_ = b.first;
            advance(b_);
        }
        return true;
    }
    return false;
}

} // namespace xsgit
