// SPDX-License-Identifier: MIT
// What the encoder hangs on a node: its object id and, for what is a tree in git, the bytes of
// the tree, so that the next version is a copy with 20 bytes changed. Private to the encoder and the loader.
#pragma once

#include "xsgit/base/limits.hpp"
#include "xsgit/git/leaf_perms.hpp"
#include "xsgit/git/oid.hpp"
#include "xsgit/git/pack_buffer.hpp"
#include "xsgit/git/tree_hash.hpp"
#include "xsgit/tree/node.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace xsgit {

inline constexpr std::string_view kPermsEntry = "%perms";
inline constexpr std::string_view kValueEntry = "%value";
inline constexpr std::string_view kHexEntry = "%hex";
inline constexpr std::string_view kSpecialEntry = "%special";

/// "%0" … "%f".
inline std::string_view bucket_entry(unsigned digit) noexcept
{
    return std::string_view("%0%1%2%3%4%5%6%7%8%9%a%b%c%d%e%f").substr(std::size_t{digit} * 2, 2);
}

/// Hex digit `level` of the SHA-1 of a name.
inline unsigned bucket_digit(const Oid &digest, unsigned level) noexcept
{
    const unsigned byte = digest.bytes[level / 2];
    return level % 2 == 0 ? byte >> 4 : byte & 15;
}

/// One tree object: a directory, or a bucket of one. Buckets are shared between versions; nothing but the
/// placement changes once it is finished.
struct Part final : RefCounted<Part> {
    using Buckets = std::array<Ref<Part>, 16>;

    Part() = default;
    Part(const Part &o)
        : RefCounted<Part>(o), oid(o.oid), placement(o.placement), content(o.content), marks(o.marks),
          leaf_perms(o.leaf_perms), count(o.count),
          buckets(o.buckets ? std::make_unique<Buckets>(*o.buckets) : nullptr)
    {
    }
    static void destroy(const Part *p) noexcept { delete p; } // at most 40 deep: hex digits of a SHA-1

    Oid oid;
    Placement placement;
    std::string content;
    Ref<const HashMarks> marks;       // of the content
    Ref<const LeafPerms> leaf_perms;  // null: no %perms yet
    std::size_t count = 0;            // children in here, in buckets too
    std::unique_ptr<Buckets> buckets; // null: flat
};

/// Base of the two kinds. `epoch` says that this node's objects and all below are in packs of that epoch.
struct GitNote : Annotation {
    GitNote(bool is_tree, std::uint32_t e) : epoch(e), tree(is_tree) {}
    std::uint32_t epoch;
    const bool tree;
};

struct LeafNote final : GitNote {
    LeafNote(const Oid &id, std::uint32_t e) : GitNote(false, e), oid(id) {}
    const Oid oid;
};

struct DirNote final : GitNote {
    explicit DirNote(std::uint32_t e) : GitNote(true, e) {}
    DirNote(std::uint32_t e, const Part &p) : GitNote(true, e), part(p) {}
    Part part;
};

/// Null if `node` was never encoded. Only this layer annotates nodes.
inline GitNote *note_of(const Node &node) noexcept { return static_cast<GitNote *>(node.note.get()); }

/// Encoded, and in packs of `epoch`.
inline bool is_current(const Node &node, std::uint32_t epoch) noexcept
{
    const GitNote *const note = note_of(node);
    return note && note->epoch == epoch;
}

/// Whether git has a tree for this encoded node.
inline bool is_git_tree(const Node &node) noexcept
{
    assert(node.note);
    return note_of(node)->tree;
}

inline DirNote &dir_note(const Node &node) noexcept
{
    assert(is_git_tree(node));
    return static_cast<DirNote &>(*note_of(node));
}

inline const Oid &oid_of(const Node &node) noexcept
{
    GitNote *const note = note_of(node);
    assert(note);
    return note->tree ? static_cast<DirNote *>(note)->part.oid : static_cast<LeafNote *>(note)->oid;
}

} // namespace xsgit
