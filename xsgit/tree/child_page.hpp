// SPDX-License-Identifier: MIT
// A page of the B-tree behind Children. Private to xsgit/tree.
//
// Level 0 holds nodes, level n pages of level n-1. All nodes are in level 0; an
// entry of a higher page is found by the name of the first node below it. Beside
// each entry stand the first eight bytes of that name as a big-endian number, so
// that most comparisons touch no node. Immutable once it is shared.
#pragma once

#include "xsgit/base/ref.hpp"
#include "xsgit/tree/node.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace xsgit {

/// What Children knows about its names without looking.
struct ChildSums {
    std::size_t count = 0;
    std::size_t names_bytes = 0;
    std::uint64_t names_hash = 0;

    static ChildSums of(std::string_view name) noexcept;
    ChildSums &operator+=(const ChildSums &o) noexcept
    {
        count += o.count;
        names_bytes += o.names_bytes;
        names_hash += o.names_hash;
        return *this;
    }
    ChildSums &operator-=(const ChildSums &o) noexcept
    {
        count -= o.count;
        names_bytes -= o.names_bytes;
        names_hash -= o.names_hash;
        return *this;
    }
};

/// A name as the pages look for it.
struct NameKey {
    explicit NameKey(std::string_view n) noexcept;
    std::string_view name;
    std::uint64_t prefix; // first eight bytes, zero-filled, big-endian
};

class ChildPage final : public RefCounted<ChildPage> {
public:
    /// Entries in a full page.
    static constexpr std::size_t kMax = 32;
    /// A page below this (the root excepted) is joined with a neighbour or refilled
    /// from it. With 12, ten levels hold more than 2^32 nodes; less than half of
    /// kMax, so that changes at the border do not join and split in turn.
    static constexpr std::size_t kMin = 12;

    /// Queues when pages are being destroyed already: the depth of the store never
    /// becomes depth of the stack.
    static void destroy(const ChildPage *p) noexcept;

    std::size_t level() const noexcept { return level_; }
    bool is_leaf() const noexcept { return level_ == 0; }
    std::size_t used() const noexcept { return used_; }
    const ChildSums &sums() const noexcept { return sums_; }
    /// The first node below this page.
    const Node *first() const noexcept { return first_; }

    std::uint64_t prefix(std::size_t i) const noexcept { return prefixes()[i]; }
    /// Level 0 only.
    const Node *node(std::size_t i) const noexcept { return static_cast<const Node *>(slots()[i]); }
    /// Other levels only.
    const ChildPage *page(std::size_t i) const noexcept { return static_cast<const ChildPage *>(slots()[i]); }
    /// First node at or below entry i.
    const Node *first_of(std::size_t i) const noexcept { return is_leaf() ? node(i) : page(i)->first(); }

    struct Place {
        std::size_t index; // first entry whose name is not before the key
        bool exact;        // and it is the key
    };
    Place locate(const NameKey &key) const noexcept;
    /// The entry below which the key is or would be. Higher levels only.
    std::size_t locate_page(const NameKey &key) const noexcept;

    /// A copy with entry i replaced by a node of the same name, or by a page (with
    /// the sums of the whole, then).
    Ref<const ChildPage> replaced(std::size_t i, const Node *n) const;
    Ref<const ChildPage> replaced(std::size_t i, const ChildPage *p, const ChildSums &sums) const;
    // In place; only for a page that nobody else can see. The caller makes the sums right.
    void set_sums(const ChildSums &sums) noexcept { sums_ = sums; }
    void replace(std::size_t i, const Node *n) noexcept { replace_slot(i, n); }
    void replace(std::size_t i, const ChildPage *p) noexcept { replace_slot(i, p); }
    bool has_room() const noexcept { return used_ < capacity_; }
    /// Before entry i. There is room.
    void insert(std::size_t i, const Node *n) noexcept { insert_slot(i, n); }
    void insert(std::size_t i, const ChildPage *p) noexcept { insert_slot(i, p); }
    /// Not the last one.
    void erase(std::size_t i) noexcept;

private:
    friend class PageBuilder;
    ChildPage(std::size_t level, std::size_t used, std::size_t capacity) noexcept;
    ~ChildPage() = default;
    static ChildPage *allocate(std::size_t level, std::size_t used);
    ChildPage *copy_but(std::size_t i, const void *slot) const;
    void replace_slot(std::size_t i, const void *slot) noexcept;
    void insert_slot(std::size_t i, const void *slot) noexcept;
    void retain_slot(const void *slot) const noexcept;
    void release_slot(const void *slot) const noexcept;
    /// After the slots are filled.
    void retain_slots() const noexcept;
    void release_slots() const noexcept;

    std::uint64_t *prefixes() noexcept { return reinterpret_cast<std::uint64_t *>(this + 1); }
    const std::uint64_t *prefixes() const noexcept
    {
        return reinterpret_cast<const std::uint64_t *>(this + 1);
    }
    const void **slots() noexcept { return reinterpret_cast<const void **>(prefixes() + capacity_); }
    const void *const *slots() const noexcept
    {
        return reinterpret_cast<const void *const *>(prefixes() + capacity_);
    }

    std::uint8_t level_;
    std::uint8_t used_;
    std::uint8_t capacity_;
    union {
        const Node *first_;
        mutable const ChildPage *next_dead_; // in the queue of destroy()
    };
    ChildSums sums_;
};

/// Entries collected for one or two new pages.
class PageBuilder {
public:
    explicit PageBuilder(std::size_t level) noexcept : level_(level) {}

    /// Entries [from, to) of a page of this level.
    void add(const ChildPage &p, std::size_t from, std::size_t to) noexcept;
    void add(const NameKey &key, const Node *n) noexcept;
    void add(const ChildPage *p) noexcept;

    struct Pages {
        Ref<const ChildPage> left, right; // right: null if one is enough
    };
    /// `sums`: of all that was added. At least one entry was.
    Pages build(const ChildSums &sums) const;

private:
    Ref<const ChildPage> build(std::size_t from, std::size_t to, const ChildSums &sums) const;
    ChildSums sums_of(std::size_t from, std::size_t to) const noexcept;

    std::size_t level_;
    std::size_t used_ = 0;
    std::uint64_t prefixes_[2 * ChildPage::kMax];
    const void *slots_[2 * ChildPage::kMax];
};

} // namespace xsgit
