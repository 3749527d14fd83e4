// SPDX-License-Identifier: MIT
// The whole store at one moment: a value. Copying is O(1), a change costs
// O(depth * log width) and shares everything else with the version before.
// Mechanism only: permissions, quotas and protocol rules are the engine's.
#pragma once

#include "xsgit/base/path.hpp"
#include "xsgit/tree/node.hpp"

namespace xsgit {

class Tree {
public:
    /// No nodes at all; only assignment and `empty()` are allowed.
    Tree() = default;
    /// A root with `perms`, nothing else. The hidden nodes' directory is there, empty.
    static Tree with_root(PermsRef perms);
    /// From loaded parts. `special` holds the hidden nodes as its children ("@releaseDomain").
    Tree(NodeRef root, NodeRef special) : root_(std::move(root)), special_(std::move(special)) {}

    bool empty() const noexcept { return !root_; }
    const NodeRef &root() const noexcept { return root_; }
    const NodeRef &special() const noexcept { return special_; }

    /// Null if absent. "@x" looks among the hidden nodes. Valid while this version lives.
    const Node *find(const Path &path) const noexcept;
    /// `node` replaces what stands at `path` or is added there; `node->name()` must be
    /// `path.name()`, and the parent must exist. The root is replaced as a whole.
    /// `t = std::move(t).put(…)` is the fast form: what no other version holds is changed
    /// where it is (annotations go), so pointers from find() are void, as ever when
    /// their version ends, and an address says nothing about what it held before.
    Tree put(const Path &path, NodeRef node) const &;
    Tree put(const Path &path, NodeRef node) &&;
    /// Without the subtree at `path`; the same value if it is absent. Not the root.
    Tree remove(const Path &path) const &;
    Tree remove(const Path &path) &&;

    /// Equal by pointer: the same version.
    bool same(const Tree &o) const noexcept { return root_ == o.root_ && special_ == o.special_; }
    /// Deep comparison of values, permissions and names; for tests and checks. O(nodes).
    bool equal(const Tree &o) const;

private:
    NodeRef &top_of(const Path &path) noexcept { return path.is_special() ? special_ : root_; }
    NodeRef root_, special_;
};

} // namespace xsgit
