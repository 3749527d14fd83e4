// SPDX-License-Identifier: MIT
// Depth first, never by recursion: trees may be as deep as paths are long.
#include "xsgit/tree/each_path.hpp"

#include <vector>

namespace xsgit {

namespace {

struct Level {
    Children::Cursor at;
    std::string path; // with a slash behind it
};

/// Those below `top`, whose path with a slash behind it is `path`.
void below(const Node &top, std::string path, const std::function<void(const std::string &, const Node &)> &f)
{
    std::vector<Level> levels;
    levels.push_back({top.children().begin(), std::move(path)});
    while (!levels.empty()) {
        const Node *n = levels.back().at.get();
        if (!n) {
            levels.pop_back();
            continue;
        }
        const std::string here = levels.back().path + std::string(n->name());
        levels.back().at.next();
        f(here, *n);
        levels.push_back({n->children().begin(), here + "/"});
    }
}

} // namespace

void each_path(const Tree &tree, const std::function<void(const std::string &, const Node &)> &f)
{
    f("/", *tree.root());
    below(*tree.root(), "/", f);
    below(*tree.special(), "", f);
}

} // namespace xsgit
