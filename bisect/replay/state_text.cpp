// SPDX-License-Identifier: MIT
// The engine's state, nodes first.
#include "bisect/replay/record_again.hpp"
#include "inspect/text.hpp"
#include "server/engine/state.hpp"
#include "xsgit/tree/each_path.hpp"

namespace xsgit::replay {

std::string state_text(const server::State &state)
{
    std::string text;
    each_path(state.tree(), [&](const std::string &path, const Node &n) {
        text += inspect::node_line(path, {std::string(n.value()), n.perms()->text()}) + "\n";
    });
    return text + "\n" + state.describe();
}

} // namespace xsgit::replay
