// SPDX-License-Identifier: MIT
// What a dying domain leaves in a tree.
#pragma once

#include "server/engine/domain.hpp"
#include "xsgit/tree/tree.hpp"

#include <vector>

namespace xsgit::server {

struct Estate {
    std::vector<Path> owned; // tops of subtrees; none below another
    std::vector<Path>
        named; // nodes that stay, whose permissions name the domain; root and hidden nodes, too, if it
               // owns them: they cannot go

    /// `account`: what `tree` holds of the domain. The search begins where toolstacks put it and ends when all is
    /// found: O(size of what it leaves) on any usual host, O(nodes) if something lies elsewhere, O(1) if there is
    /// nothing. Both lists are in the order of paths.
    Estate(const Tree &tree, std::uint16_t domid, const Account &account);
};

} // namespace xsgit::server
