// SPDX-License-Identifier: MIT
// Trees in a checkpoint that stands without git (state_stream.hpp, kTreeRecord).
//
//   u64 seq          of main, whose tree it is
//   edits that make it of the tree of the record before (the first: of nothing), in the order of each_edit():
//     u8 1 a node, 2 a subtree that is gone; 0: no more
//     u16 bytes that its path has in common with that of the edit before, u16 and the others
//     of a node: text permissions, text value
#pragma once

#include "xsgit/journal/stream.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <utility>

namespace xsgit::server {

/// Appends the record. O(differences).
void write_tree_record(StreamWriter &w, std::uint64_t seq, const Tree &from, const Tree &to);
/// Its tree; `from` as it was written. Throws StreamDamaged.
std::pair<std::uint64_t, Tree> read_tree_record(RecordReader r, Tree from);

} // namespace xsgit::server
