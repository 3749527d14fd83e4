// SPDX-License-Identifier: MIT
// Writes the tree objects of one directory whose children are encoded already: from nothing, or by
// editing those of the version before. Private to the encoder.
#pragma once

#include "xsgit/git/tree_note.hpp"

#include <span>
#include <vector>

namespace xsgit {

/// One child of a directory that differs between two versions; one of them may be null.
struct ChildChange {
    const Node *before;
    const Node *after;
};

class DirEncoder {
public:
    /// `special`: id of the hidden nodes' tree, for the root only.
    DirEncoder(const Node &dir, const Oid *special, PackBuffer &out) : dir_(dir), special_(special), out_(out)
    {
    }

    /// Fills the empty `part` from dir's children.
    void build(Part &part);
    /// `part` is a copy of `old`, which belongs to `old_dir`; `changes` leads from old_dir's children
    /// to dir's. O(changes) objects, each at most 128 entries long.
    void update(Part &part, const Part &old, const Node &old_dir, std::span<const ChildChange> changes);

private:
    struct Hashed {
        const Node *node;
        Oid digest;
    };

    void build_part(Part &part, std::span<Hashed> nodes, unsigned level);
    void build_flat(Part &part, std::vector<const Node *> nodes, unsigned level);
    void build_split(Part &part, std::span<Hashed> nodes, unsigned level);
    /// Of a directory (level 0): the value, and the hidden nodes.
    void add_own_entries(Part &part);

    /// True if anything changed. The id and the objects are written then.
    bool update_part(Part &part, const Part &old, std::span<const ChildChange> changes, unsigned level);
    /// Offset of the first byte that is another one now; npos if there is none.
    std::size_t edit_flat(Part &part, std::span<const ChildChange> changes, unsigned level);
    std::size_t edit_split(Part &part, std::span<const ChildChange> changes, unsigned level);
    std::size_t edit_own_entries(Part &part);
    void rebuild(Part &part, const Part &old, std::span<const ChildChange> changes, unsigned level);

    /// Brings the %perms entry of `part` in line with `counts`. As edit_flat().
    std::size_t set_perms(Part &part, PermCounts counts, unsigned level);
    std::vector<const Node *> leaves_of(const Part &part, unsigned level) const;
    void put_value(Part &part);
    void finish(Part &part, const Part *old, std::size_t same);

    const Node &dir_;
    const Oid *special_;
    PackBuffer &out_;
    const Node *old_dir_ = nullptr;
    bool own_perms_changed_ = false;
};

} // namespace xsgit
