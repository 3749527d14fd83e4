// SPDX-License-Identifier: MIT
// Depth first, never by recursion: trees may be as deep as paths are long.
#include "xsgit/tree/each_edit.hpp"

#include <utility>
#include <vector>

namespace xsgit {

namespace {

using Told = std::function<void(const std::string &, const Node *)>;

struct Level {
    ChildDiff at;
    std::string path; // with a slash behind it
};

bool same_itself(const Node &a, const Node &b) noexcept
{
    return a.value() == b.value() && same_perms(a.perms(), b.perms());
}

/// Below one top, whose children have paths that begin with `prefix`.
void edits_below(const Node *from, const Node &to, std::string prefix, const Told &f)
{
    const Children none;
    const auto children = [&none](const Node *n) -> const Children & { return n ? n->children() : none; };
    std::vector<Level> levels;
    levels.push_back({ChildDiff(children(from), to.children()), std::move(prefix)});
    while (!levels.empty()) {
        if (!levels.back().at.next()) {
            levels.pop_back();
            continue;
        }
        const Node *before = levels.back().at.before(), *after = levels.back().at.after();
        const std::string path = levels.back().path + std::string((after ? after : before)->name());
        if (!after || !before || !same_itself(*before, *after))
            f(path, after);
        if (after && !(before && before->children().same(after->children())))
            levels.push_back({ChildDiff(children(before), after->children()), path + "/"});
    }
}

void edits_of_top(const Node *from, const Node &to, const std::string &path, const std::string &prefix,
                  const Told &f)
{
    if (!from || !same_itself(*from, to))
        f(path, &to);
    edits_below(from, to, prefix, f);
}

const std::string kHidden = "@";

/// A top of its own: it replaces the one there was, keeping what is below.
NodeRef top(const NodeRef &was, std::string_view name, BytesRef value, PermsRef perms)
{
    return Node::make(name, std::move(value), std::move(perms), was ? was->children() : Children());
}

} // namespace

void each_edit(const Tree &from, const Tree &to, const Told &f)
{
    edits_of_top(from.root().get(), *to.root(), "/", "/", f);
    edits_of_top(from.special().get(), *to.special(), kHidden, "", f);
}

bool apply_edit(Tree &tree, const std::string &path, BytesRef value, PermsRef perms)
{
    if (path == "/" || path == kHidden) {
        if (!perms)
            return false;
        const bool hidden = path == kHidden;
        const NodeRef &was = hidden ? tree.special() : tree.root();
        NodeRef now = top(was, was ? was->name() : std::string_view(""), std::move(value), std::move(perms));
        tree = hidden ? Tree(tree.root(), std::move(now)) : Tree(std::move(now), tree.special());
        return true;
    }
    const Path at = Path::trusted(path);
    const NodeRef &top_there = at.is_special() ? tree.special() : tree.root();
    if (!top_there)
        return false;
    if (!perms) {
        tree = std::move(tree).remove(at);
        return true;
    }
    if (!at.is_special() && !tree.find(at.parent()))
        return false;
    const Node *was = tree.find(at);
    Children below = was ? was->children() : Children();
    tree =
        std::move(tree).put(at, Node::make(at.name(), std::move(value), std::move(perms), std::move(below)));
    return true;
}

} // namespace xsgit
