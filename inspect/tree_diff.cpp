// SPDX-License-Identifier: MIT
// Depth first, without recursion: guests choose the depth.
#include "inspect/tree_diff.hpp"

#include <algorithm>

namespace xsgit::inspect {

namespace {

struct Pending {
    std::string path;
    std::optional<GitNode> before, after;
};

std::string below(const std::string &path, const std::string &name)
{
    return path == "/" ? path + name : path + "/" + name;
}

/// Nodes still to look at, the next one last.
class Walk {
public:
    Walk(TreeReader &reader, const std::function<bool(NodeChange)> &each) : reader_(reader), each_(each) {}

    /// False if `each` wants no more.
    bool run(Pending first)
    {
        stack_.push_back(std::move(first));
        while (!stack_.empty()) {
            const Pending p = std::move(stack_.back());
            stack_.pop_back();
            if (p.before == p.after)
                continue;
            if (!report(p))
                return false;
            push_children(p, [&](const std::string &name) { return below(p.path, name); });
        }
        return true;
    }

    bool run_special(const std::optional<GitNode> &before, const std::optional<GitNode> &after)
    {
        if (before == after)
            return true;
        push_children({{}, before, after}, [](const std::string &name) { return name; });
        while (!stack_.empty()) {
            Pending p = std::move(stack_.back());
            stack_.pop_back();
            if (!report(p))
                return false;
        }
        return true;
    }

private:
    bool report(const Pending &p)
    {
        if (p.before && p.after && !reader_.state_differs(*p.before, *p.after))
            return true;
        NodeChange c{p.path, std::nullopt, std::nullopt};
        if (p.before)
            c.before = reader_.state(*p.before);
        if (p.after)
            c.after = reader_.state(*p.after);
        return each_(std::move(c));
    }

    template <class Name>
    void push_children(const Pending &p, Name name_of)
    {
        const std::size_t first = stack_.size();
        if (p.before && p.after && p.before->is_tree && p.after->is_tree) {
            for (NodePair &pair : reader_.differing(*p.before, *p.after))
                stack_.push_back({name_of(pair.name), std::move(pair.before), std::move(pair.after)});
        } else {
            if (p.before)
                for (NamedNode &n : reader_.children(*p.before))
                    stack_.push_back({name_of(n.name), std::move(n.node), std::nullopt});
            if (p.after)
                for (NamedNode &n : reader_.children(*p.after))
                    stack_.push_back({name_of(n.name), std::nullopt, std::move(n.node)});
        }
        std::reverse(stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
    }

    TreeReader &reader_;
    const std::function<bool(NodeChange)> &each_;
    std::vector<Pending> stack_;
};

} // namespace

std::vector<Path> outermost(std::vector<Path> paths)
{
    std::sort(paths.begin(), paths.end());
    std::vector<Path> out;
    for (Path &p : paths)
        if (std::none_of(out.begin(), out.end(), [&](const Path &o) { return o.contains(p); }))
            out.push_back(std::move(p));
    return out;
}

void diff_trees(TreeReader &reader, const Oid &before, const Oid &after, const std::vector<Path> &limits,
                const std::function<bool(NodeChange)> &each)
{
    if (before == after)
        return;
    Walk walk(reader, each);
    if (limits.empty()) {
        if (walk.run({"/", TreeReader::root_node(before), TreeReader::root_node(after)}))
            walk.run_special(reader.special(before), reader.special(after));
        return;
    }
    for (const Path &p : outermost(limits))
        if (!walk.run({p.str(), reader.find(before, p), reader.find(after, p)}))
            return;
}

void list_tree(TreeReader &reader, const Oid &root, const Path &top,
               const std::function<void(const std::string &path, const NodeState &)> &each)
{
    std::vector<Pending> stack;
    if (auto node = reader.find(root, top))
        stack.push_back({top.str(), std::nullopt, std::move(node)});
    while (!stack.empty()) {
        const Pending p = std::move(stack.back());
        stack.pop_back();
        each(p.path, reader.state(*p.after));
        const std::size_t first = stack.size();
        for (NamedNode &n : reader.children(*p.after))
            stack.push_back({below(p.path, n.name), std::nullopt, std::move(n.node)});
        std::reverse(stack.begin() + static_cast<std::ptrdiff_t>(first), stack.end());
    }
}

} // namespace xsgit::inspect
