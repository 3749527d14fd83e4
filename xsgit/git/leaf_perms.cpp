// SPDX-License-Identifier: MIT
#include "xsgit/git/leaf_perms.hpp"

#include "xsgit/tree/node.hpp"

#include <algorithm>
#include <cassert>

namespace xsgit {

void PermCounts::add(const PermsRef &perms)
{
    for (Count &c : counts_)
        if (same_perms(c.perms, perms)) {
            ++c.leaves;
            return;
        }
    counts_.push_back({perms, 1});
}

void PermCounts::remove(const PermsRef &perms)
{
    for (auto c = counts_.begin(); c != counts_.end(); ++c)
        if (same_perms(c->perms, perms)) {
            if (--c->leaves == 0)
                counts_.erase(c);
            return;
        }
    assert(false && "a list was removed that no leaf had");
}

const PermList *PermCounts::most() const noexcept
{
    const Count *best = nullptr;
    for (const Count &c : counts_)
        if (!best || c.leaves > best->leaves ||
            (c.leaves == best->leaves && c.perms->text() < best->perms->text()))
            best = &c;
    return best ? best->perms.get() : nullptr;
}

std::string perms_text(const PermList &own, bool bucket, const PermCounts &counts,
                       const std::vector<const Node *> &leaves)
{
    std::string text;
    const auto line = [&text](std::string_view name, const PermList &perms) {
        text += name;
        text += ' ';
        text += perms.text();
        text += '\n';
    };
    if (!bucket) {
        text = own.text();
        text += '\n';
    }
    const PermList *const most = counts.most();
    if (most && most->text() != own.text())
        line("*", *most);
    if (counts.distinct() > 1)
        for (const Node *leaf : leaves)
            if (leaf->perms()->text() != most->text())
                line(leaf->name(), *leaf->perms());
    return text;
}

const PermsRef &ParsedPerms::of(std::string_view name, const PermsRef &node_own) const noexcept
{
    const auto found =
        std::lower_bound(leaves.begin(), leaves.end(), name,
                         [](const auto &entry, std::string_view n) { return entry.first < n; });
    if (found != leaves.end() && found->first == name)
        return found->second;
    return most ? most : node_own;
}

bool parse_perms_text(std::string_view text, bool bucket, ParsedPerms &out)
{
    for (bool first = !bucket; !text.empty(); first = false) {
        const std::size_t end = text.find('\n');
        if (end == text.npos)
            return false;
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        std::string_view name;
        if (!first) {
            const std::size_t space = line.find(' ');
            if (space == line.npos || space == 0)
                return false;
            name = line.substr(0, space);
            line.remove_prefix(space + 1);
        }
        PermsRef perms = PermList::from_text(line);
        if (!perms)
            return false;
        if (first) {
            out.own = std::move(perms);
        } else if (name == "*") {
            if (out.most || !out.leaves.empty())
                return false;
            out.most = std::move(perms);
        } else {
            if (!out.leaves.empty() && out.leaves.back().first >= name)
                return false;
            out.leaves.emplace_back(name, std::move(perms));
        }
    }
    return bucket || out.own;
}

} // namespace xsgit
