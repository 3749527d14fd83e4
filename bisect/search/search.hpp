// SPDX-License-Identifier: MIT
// Binary search for the first bad place in a row, some of which cannot be judged. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace xsgit::bisect {

enum class Verdict : std::uint8_t { Good, Bad, Skip };

/// Places are numbered from the newest on; `bad` is known to be bad, `good`, which is greater, to be good.
class Search {
public:
    Search(std::size_t bad, std::size_t good) : bad_(bad), good_(good) {}

    /// The place to be judged next; nullopt: nothing more can be found out. Close to the middle; near skipped ones, at
    /// other fractions of what is left. O(skipped).
    std::optional<std::size_t> next() const;
    /// False if it contradicts what is known: good, but newer than a bad one, or the other way round.
    bool judge(std::size_t place, Verdict v);

    /// The oldest that is known to be bad, the newest that is known to be good.
    std::size_t bad() const noexcept { return bad_; }
    std::size_t good() const noexcept { return good_; }
    /// Places in between of which nothing is known.
    std::size_t left() const noexcept { return good_ - bad_ - 1 - skipped_.size(); }
    /// Those in between that were skipped: each may be the first bad one, as bad() may. Newest first.
    const std::set<std::size_t> &skipped() const noexcept { return skipped_; }

private:
    std::size_t bad_, good_;
    std::set<std::size_t> skipped_; // between the two
};

} // namespace xsgit::bisect
