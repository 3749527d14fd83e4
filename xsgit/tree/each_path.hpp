// SPDX-License-Identifier: MIT
// All nodes of a tree, each with its path.
#pragma once

#include "xsgit/tree/tree.hpp"

#include <functional>
#include <string>

namespace xsgit {

/// Calls `f` for every node of a tree that has a root: "/" first, parents before children, children in order of name, the hidden
/// nodes ("@releaseDomain") last. O(nodes); memory: a path and a cursor for each level of depth.
void each_path(const Tree &tree, const std::function<void(const std::string &path, const Node &)> &f);

} // namespace xsgit
