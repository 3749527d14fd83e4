// SPDX-License-Identifier: MIT
// What makes one version of the tree another.
#pragma once

#include "xsgit/tree/tree.hpp"

#include <functional>
#include <string>

namespace xsgit {

/// Calls `f(path, node)` for each node whose value or permissions `to` has otherwise than `from`, or alone, parents before
/// children; with null for the top of each subtree that `to` has not. A node that replaces another of its name is
/// told by its own value and permissions, then by what differs below. The directory of the hidden nodes has the path
/// "@". Both have a root; or `from` is empty: every node of `to`. Costs O(differences * log width), as ChildDiff does.
void each_edit(const Tree &from, const Tree &to,
               const std::function<void(const std::string &path, const Node *node)> &f);

/// `tree` with one such edit; `value` and `perms` are the node's, `perms` null removes it. The first edits of an empty
/// tree are "/" and "@". False, and nothing changed, when the parent is missing or a top would be removed.
bool apply_edit(Tree &tree, const std::string &path, BytesRef value, PermsRef perms);

} // namespace xsgit
