// SPDX-License-Identifier: MIT
// The children of a node: a persistent B-tree of nodes sorted by the bytes of
// their names. Copy O(1); look-up, insertion, removal O(log n), sharing all but
// the path touched; counters are kept in every B-tree node, so size, length and
// hash of the name list cost nothing and an offset into it is found in O(log n).
#pragma once

#include "xsgit/base/ref.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace xsgit {

class Node;
using NodeRef = Ref<const Node>;
class ChildPage; // a page of the B-tree: child_page.hpp, private to this folder

class Children {
public:
    Children() noexcept;
    Children(const Children &) noexcept;
    Children(Children &&) noexcept;
    Children &operator=(Children) noexcept;
    ~Children();

    bool empty() const noexcept { return size() == 0; }
    std::size_t size() const noexcept;
    /// Sum of name lengths, each plus one for its NUL: the length of a DIRECTORY reply.
    std::size_t names_bytes() const noexcept;
    /// Order-independent 64-bit hash of the set of names (XXH3 with a fixed seed,
    /// added up): changes when a name comes or goes.
    std::uint64_t names_hash() const noexcept;

    /// Null if there is none; valid while any version holding it lives.
    const Node *find(std::string_view name) const noexcept;
    /// With `child` added, or put in place of the one of the same name. On an rvalue,
    /// pages that nobody else holds are changed where they are.
    Children with(NodeRef child) const &;
    Children with(NodeRef child) &&;
    /// Without the one of this name; the same value if there is none.
    Children without(std::string_view name) const &;
    Children without(std::string_view name) &&;

    /// In order of name bytes. Valid while the Children it came from lives unchanged.
    class Cursor {
    public:
        /// Null at the end.
        const Node *get() const noexcept;
        void next() noexcept;

    private:
        friend class Children;
        friend class ChildDiff;
        struct Level {
            const ChildPage *page;
            std::uint32_t index;
        };
        /// More than any B-tree whose size fits 32 bits can have: see child_page.hpp.
        static constexpr std::size_t kLevels = 10;

        void push(const ChildPage *p, std::size_t index) noexcept;
        /// Leaves pages that are read to their end.
        void pop_finished() noexcept;
        /// Goes down to the first node below the current entry, unless on one.
        void to_node() noexcept;

        std::array<Level, kLevels> stack_;
        std::size_t depth_ = 0; // levels in use; 0: at the end
    };
    Cursor begin() const;
    /// At the child whose name begins at or after byte `offset` of the concatenated,
    /// NUL-terminated names; an offset inside a name counts as that name's end.
    Cursor at_names_offset(std::size_t offset) const;

    /// Same page by pointer: surely equal (the converse does not hold).
    bool same(const Children &o) const noexcept { return root_ == o.root_; }

private:
    friend class ChildDiff;
    friend class Ancestors; // changes nodes that only one version holds
    explicit Children(Ref<const ChildPage> root) noexcept;
    /// find(), and clears `own` unless this is the only way to the node.
    const Node *find_own(std::string_view name, bool &own) const noexcept;
    Children put(NodeRef child, bool own) const;
    Children drop(std::string_view name, bool own) const;
    Ref<const ChildPage> root_;
};

/// The children that differ between two versions, in order of name, skipping what
/// is shared; costs O(differences * log n) when one came from the other.
/// Differ = other Node pointer. Usage:
///   for (ChildDiff d(a, b); d.next();) use(d.before(), d.after());  // one may be null
class ChildDiff {
public:
    ChildDiff(const Children &before, const Children &after);
    bool next();
    const Node *before() const noexcept { return before_; }
    const Node *after() const noexcept { return after_; }
    /// Entries of pages looked at so far: what the comparison cost.
    std::size_t visits() const noexcept { return visits_; }

private:
    Children::Cursor a_, b_;
    const Node *before_ = nullptr, *after_ = nullptr;
    std::size_t visits_ = 0;
};

} // namespace xsgit
