// SPDX-License-Identifier: MIT
// The engine's state, nodes first.
#include "bisect/replay/record_again.hpp"
#include "inspect/text.hpp"
#include "server/engine/state.hpp"

#include <vector>

namespace xsgit::replay {

namespace {

void list(const Node &top, const std::string &path, std::string &text)
{
    struct Level {
        Children::Cursor at;
        std::string path; // with a slash behind it
    };
    const auto add = [&](const std::string &p, const Node &n) {
        text += inspect::node_line(p, {std::string(n.value()), n.perms()->text()}) + "\n";
    };
    std::vector<Level> levels; // never recursion over the depth of the tree
    if (!path.empty())
        add(path, top);
    levels.push_back({top.children().begin(), path == "/" ? path : std::string()});
    while (!levels.empty()) {
        if (!levels.back().at.get()) {
            levels.pop_back();
            continue;
        }
        const Node &n = *levels.back().at.get();
        const std::string here = levels.back().path + std::string(n.name());
        levels.back().at.next();
        add(here, n);
        levels.push_back({n.children().begin(), here + "/"});
    }
}

} // namespace

std::string state_text(const server::State &state)
{
    std::string text;
    list(*state.tree().root(), "/", text);
    list(*state.tree().special(), "", text);
    return text + "\n" + state.describe();
}

} // namespace xsgit::replay
