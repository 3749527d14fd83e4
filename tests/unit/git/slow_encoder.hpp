// SPDX-License-Identifier: MIT
// The layout of tree_encoder.hpp written down a second time, straight from its grammar: no annotations, no
// sharing, and objects made by whoever is asked to.
#pragma once

#include "xsgit/tree/tree.hpp"

#include <functional>
#include <string>
#include <vector>

namespace xsgit::test {

struct SlowEntry {
    std::string name;
    std::string id; // hex
    bool tree;
};

struct ObjectMaker {
    std::function<std::string(const std::string &content)> blob;
    std::function<std::string(const std::vector<SlowEntry> &entries)> tree; // in any order
};

/// Hex id of the root tree.
std::string slow_encode(const Tree &t, const ObjectMaker &make);

/// Ids by libcrypto, entries sorted by their written-out sort key.
ObjectMaker hashing_maker();

} // namespace xsgit::test
