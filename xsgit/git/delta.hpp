// SPDX-License-Identifier: MIT
// git's delta format: sizes, then "copy from the base" and "insert" instructions.
//
// There is no search. Two versions of a directory differ in a few 20-byte holes, or by
// an entry that came or went: what both have in front and behind is copied, and in
// a middle of equal length the equal runs are.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xsgit {

/// Replaces `out` by the delta from `base` to `target`. False (and `out` is of no use) if it would be
/// longer than `limit` bytes. No allocation once `out` has grown.
bool make_delta(std::string_view base, std::string_view target, std::size_t limit, std::string &out);

/// Replaces `out` by what `delta` makes of `base`; false if the delta is damaged. `out` must not
/// be the storage of either.
bool apply_delta(std::string_view base, std::string_view delta, std::string &out);

} // namespace xsgit
