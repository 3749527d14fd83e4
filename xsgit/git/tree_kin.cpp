// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_kin.hpp"

#include <algorithm>
#include <cstring>

namespace xsgit {

TreeKin::Candidates TreeKin::find(std::string_view tree) const
{
    Candidates c;
    c.trees.fill(kNone);
    std::uint64_t smallest[2] = {~std::uint64_t{0}, ~std::uint64_t{0}};
    std::uint64_t names = 0xcbf29ce484222325; // FNV-1a over the names
    for (std::string_view rest = tree; !rest.empty();) {
        const std::size_t nul = rest.find('\0');
        if (nul == rest.npos || rest.size() - nul - 1 < 20)
            return c;
        for (const char ch : rest.substr(0, nul + 1))
            names = (names ^ static_cast<unsigned char>(ch)) * 0x100000001b3;
        std::uint64_t id[2];
        std::memcpy(id, rest.data() + nul + 1, sizeof id);
        smallest[0] = std::min(smallest[0], id[0]);
        smallest[1] = std::min(smallest[1], id[1]);
        rest.remove_prefix(nul + 21);
    }
    c.keys = {smallest[0], smallest[1], names};
    for (std::size_t i = 0; i < kKeys; ++i) {
        const auto at = last_.find(c.keys[i]);
        if (at != last_.end() && std::find(c.trees.begin(), c.trees.end(), at->second) == c.trees.end())
            c.trees[i] = at->second;
    }
    return c;
}

void TreeKin::remember(const Candidates &c, std::uint32_t number)
{
    for (const std::uint64_t key : c.keys)
        last_[key] = number;
}

} // namespace xsgit
