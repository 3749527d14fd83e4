// SPDX-License-Identifier: MIT
// Pages: search, copies, destruction.
#include "xsgit/tree/child_page.hpp"

#include <xxhash.h>

#include <cassert>
#include <cstring>
#include <new>
#include <utility>

namespace xsgit {

namespace {

/// "xsgit" and a version: DIRECTORY_PART's number must be the same in every
/// process that folds the same events.
constexpr std::uint64_t kHashSeed = 0x7873676974000001;

std::uint64_t big_endian_prefix(std::string_view s) noexcept
{
    if (s.size() >= 8) {
        std::uint64_t v;
        std::memcpy(&v, s.data(), 8);
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(v) : v;
    }
    std::uint64_t v = 0;
    unsigned shift = 64;
    for (const char c : s)
        v |= std::uint64_t{static_cast<unsigned char>(c)} << (shift -= 8);
    return v;
}

/// First index whose prefix is not below `key`. Without branches on the data: the
/// place is what nobody can predict.
std::size_t lower_bound(const std::uint64_t *p, std::size_t n, std::uint64_t key) noexcept
{
    const std::uint64_t *base = p;
    while (n > 1) {
        const std::size_t half = n / 2;
        base += base[half - 1] < key ? half : 0;
        n -= half;
    }
    return static_cast<std::size_t>(base - p) + (n == 1 && *base < key ? 1 : 0);
}

} // namespace

ChildSums ChildSums::of(std::string_view name) noexcept
{
    return {1, name.size() + 1, XXH3_64bits_withSeed(name.data(), name.size(), kHashSeed)};
}

NameKey::NameKey(std::string_view n) noexcept : name(n), prefix(big_endian_prefix(n)) {}

ChildPage::ChildPage(std::size_t level, std::size_t used, std::size_t capacity) noexcept
    : level_(static_cast<std::uint8_t>(level)), used_(static_cast<std::uint8_t>(used)),
      capacity_(static_cast<std::uint8_t>(capacity)), first_(nullptr)
{
}

ChildPage *ChildPage::allocate(std::size_t level, std::size_t used)
{
    assert(used >= 1 && used <= kMax);
    static_assert(sizeof(ChildPage) % alignof(std::uint64_t) == 0 && sizeof(void *) <= 8);
    // Directories with one or two children are the most frequent; they get no slack.
    const std::size_t capacity = used <= 2 ? used : (used + 3) / 4 * 4;
    void *raw = ::operator new(sizeof(ChildPage) + capacity * (sizeof(std::uint64_t) + sizeof(void *)));
    return new (raw) ChildPage(level, used, capacity);
}

void ChildPage::retain_slot(const void *slot) const noexcept
{
    if (is_leaf())
        static_cast<const Node *>(slot)->retain();
    else
        static_cast<const ChildPage *>(slot)->retain();
}

void ChildPage::release_slot(const void *slot) const noexcept
{
    if (is_leaf())
        static_cast<const Node *>(slot)->release();
    else
        static_cast<const ChildPage *>(slot)->release();
}

void ChildPage::retain_slots() const noexcept
{
    for (std::size_t i = 0; i < used_; ++i)
        retain_slot(slots()[i]);
}

void ChildPage::release_slots() const noexcept
{
    for (std::size_t i = 0; i < used_; ++i)
        release_slot(slots()[i]);
}

void ChildPage::destroy(const ChildPage *p) noexcept
{
    // Releasing a page's nodes may end their pages, which come back here. They are
    // queued in themselves: destruction needs neither stack nor memory.
    static constinit thread_local const ChildPage *queue = nullptr;
    static constinit thread_local bool running = false;
    p->next_dead_ = std::exchange(queue, p);
    if (running)
        return;
    running = true;
    while (queue) {
        const ChildPage *dead = queue;
        queue = dead->next_dead_;
        dead->release_slots();
        dead->~ChildPage();
        ::operator delete(const_cast<ChildPage *>(dead));
    }
    running = false;
}

ChildPage::Place ChildPage::locate(const NameKey &key) const noexcept
{
    std::size_t lo = lower_bound(prefixes(), used_, key.prefix);
    if (lo == used_ || prefix(lo) != key.prefix)
        return {lo, false};
    // A shorter name is all in the prefix, as names contain no zero byte.
    if (key.name.size() < 8)
        return {lo, true};
    std::size_t hi = lo + 1;
    while (hi < used_ && prefix(hi) == key.prefix)
        ++hi;
    while (lo < hi) {
        const std::size_t mid = (lo + hi) / 2;
        const int c = first_of(mid)->name().compare(key.name);
        if (c == 0)
            return {mid, true};
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return {lo, false};
}

std::size_t ChildPage::locate_page(const NameKey &key) const noexcept
{
    const Place p = locate(key);
    return p.exact || p.index == 0 ? p.index : p.index - 1;
}

ChildPage *ChildPage::copy_but(std::size_t i, const void *slot) const
{
    ChildPage *c = allocate(level_, used_);
    std::memcpy(c->prefixes(), prefixes(), used_ * sizeof(std::uint64_t));
    std::memcpy(c->slots(), slots(), used_ * sizeof(void *));
    c->slots()[i] = slot;
    c->retain_slots();
    return c;
}

Ref<const ChildPage> ChildPage::replaced(std::size_t i, const Node *n) const
{
    assert(is_leaf() && i < used_ && node(i)->name() == n->name());
    ChildPage *c = copy_but(i, n);
    c->first_ = c->node(0);
    c->sums_ = sums_;
    return Ref<const ChildPage>(c);
}

Ref<const ChildPage> ChildPage::replaced(std::size_t i, const ChildPage *p, const ChildSums &sums) const
{
    assert(!is_leaf() && i < used_ && p->level() + 1 == level());
    ChildPage *c = copy_but(i, p);
    c->prefixes()[i] = p->prefix(0);
    c->first_ = c->page(0)->first();
    c->sums_ = sums;
    return Ref<const ChildPage>(c);
}

void ChildPage::replace_slot(std::size_t i, const void *slot) noexcept
{
    assert(i < used_);
    retain_slot(slot);
    const void *old = std::exchange(slots()[i], slot);
    prefixes()[i] = is_leaf() ? prefix(i) : page(i)->prefix(0);
    first_ = first_of(0);
    release_slot(old);
}

void ChildPage::insert_slot(std::size_t i, const void *slot) noexcept
{
    assert(has_room() && i <= used_);
    retain_slot(slot);
    std::memmove(prefixes() + i + 1, prefixes() + i, (used_ - i) * sizeof(std::uint64_t));
    std::memmove(slots() + i + 1, slots() + i, (used_ - i) * sizeof(void *));
    slots()[i] = slot;
    prefixes()[i] = is_leaf() ? NameKey(node(i)->name()).prefix : page(i)->prefix(0);
    ++used_;
    first_ = first_of(0);
}

void ChildPage::erase(std::size_t i) noexcept
{
    assert(i < used_ && used_ > 1);
    const void *old = slots()[i];
    --used_;
    std::memmove(prefixes() + i, prefixes() + i + 1, (used_ - i) * sizeof(std::uint64_t));
    std::memmove(slots() + i, slots() + i + 1, (used_ - i) * sizeof(void *));
    first_ = first_of(0);
    release_slot(old);
}

void PageBuilder::add(const ChildPage &p, std::size_t from, std::size_t to) noexcept
{
    assert(p.level() == level_ && from <= to && to <= p.used() && used_ + (to - from) <= 2 * ChildPage::kMax);
    std::memcpy(prefixes_ + used_, p.prefixes() + from, (to - from) * sizeof(std::uint64_t));
    std::memcpy(slots_ + used_, p.slots() + from, (to - from) * sizeof(void *));
    used_ += to - from;
}

void PageBuilder::add(const NameKey &key, const Node *n) noexcept
{
    assert(level_ == 0 && used_ < 2 * ChildPage::kMax);
    prefixes_[used_] = key.prefix;
    slots_[used_++] = n;
}

void PageBuilder::add(const ChildPage *p) noexcept
{
    assert(p->level() + 1 == level_ && used_ < 2 * ChildPage::kMax);
    prefixes_[used_] = p->prefix(0);
    slots_[used_++] = p;
}

ChildSums PageBuilder::sums_of(std::size_t from, std::size_t to) const noexcept
{
    ChildSums s;
    for (std::size_t i = from; i < to; ++i)
        s += level_ == 0 ? ChildSums::of(static_cast<const Node *>(slots_[i])->name())
                         : static_cast<const ChildPage *>(slots_[i])->sums();
    return s;
}

Ref<const ChildPage> PageBuilder::build(std::size_t from, std::size_t to, const ChildSums &sums) const
{
    ChildPage *c = ChildPage::allocate(level_, to - from);
    std::memcpy(c->prefixes(), prefixes_ + from, (to - from) * sizeof(std::uint64_t));
    std::memcpy(c->slots(), slots_ + from, (to - from) * sizeof(void *));
    c->retain_slots();
    c->first_ = c->first_of(0);
    c->sums_ = sums;
    return Ref<const ChildPage>(c);
}

PageBuilder::Pages PageBuilder::build(const ChildSums &sums) const
{
    if (used_ <= ChildPage::kMax)
        return {build(0, used_, sums), nullptr};
    const std::size_t half = used_ / 2;
    const ChildSums left = sums_of(0, half);
    ChildSums right = sums;
    right -= left;
    return {build(0, half, left), build(half, used_, right)};
}

} // namespace xsgit
