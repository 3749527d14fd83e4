// SPDX-License-Identifier: MIT
// Finds, among trees that stand in full in a pack, one that a given tree resembles.
//
// The first version of a directory in each pack is written in full, as its predecessor is
// in another pack. With little traffic packs hold a commit or two, and such trees are nearly all
// of their bytes. When a merge brings them together, the second can become a delta of the
// first, if the two find each other: versions of one directory share all their entries but a few,
// so the smallest child id of one is most likely the smallest of the other.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace xsgit {

class TreeKin {
public:
    static constexpr std::size_t kKeys = 3;
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    struct Candidates {
        std::array<std::uint64_t, kKeys> keys{};
        std::array<std::uint32_t, kKeys> trees{}; // kNone where there is none; no tree twice
    };
    /// Relatives of a tree object. All kNone if it is not a tree.
    Candidates find(std::string_view tree) const;
    /// From now on `number` stands for trees with these keys.
    void remember(const Candidates &c, std::uint32_t number);

private:
    std::unordered_map<std::uint64_t, std::uint32_t> last_;
};

} // namespace xsgit
