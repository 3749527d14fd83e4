// SPDX-License-Identifier: MIT
// The nodes that differ between two states of the store.
#pragma once

#include "inspect/tree_reader.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::inspect {

struct NodeChange {
    std::string path;
    std::optional<NodeState> before, after; // absent: the node was not there

    bool added() const noexcept { return !before; }
    bool removed() const noexcept { return !after; }
    bool value_changed() const { return before && after && before->value != after->value; }
};

/// Calls `each` for every node that differs, parents before children, siblings by name, hidden nodes
/// last; it returns false to stop. Only at and below `limits`, if there are any. `before` and `after` are
/// trees of commits; null: the empty store. Costs what differs, not what there is.
void diff_trees(TreeReader &reader, const Oid &before, const Oid &after, const std::vector<Path> &limits,
                const std::function<bool(NodeChange)> &each);

/// Without those that another one contains, in order.
std::vector<Path> outermost(std::vector<Path> paths);

/// Calls `each` with every node at or below `top` (the root: all), in the same order, hidden nodes not.
void list_tree(TreeReader &reader, const Oid &root, const Path &top,
               const std::function<void(const std::string &path, const NodeState &)> &each);

} // namespace xsgit::inspect
