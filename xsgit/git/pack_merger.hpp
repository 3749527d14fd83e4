// SPDX-License-Identifier: MIT
// Several packs become one: entries are copied as they stand, each object once.
//
// Inputs are taken in order, their entries in the order of the file; the first copy of an object is
// kept. So whatever an entry's delta base was, a copy of it already stands in front of the entry in
// the output, and only the distance to it is written anew. If the kept copy lies so deep in a chain
// that ours would exceed kMaxMergedDepth, the object is written in full. Trees in full that
// resemble an earlier one become deltas (tree_kin.hpp).
#pragma once

#include "xsgit/git/pack_reader.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit
{

struct MergedPack {
    std::string name;
    std::string index;
    std::uint64_t bytes = 0;
    std::uint32_t objects = 0;
};

/// Hands the pack, with header and trailer, to `write` in pieces of some 100 KiB. The inputs' sizes
/// must sum up to less than 2 GiB. About 0.3 us an object; 100 bytes of memory an object. Passes
/// on what `write` throws.
MergedPack merge_packs(const std::vector<PackReader> &inputs,
                       const std::function<void(std::string_view)> &write);

} // namespace xsgit
