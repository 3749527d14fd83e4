// SPDX-License-Identifier: MIT
#include "server/engine/estate.hpp"

#include "server/engine/accounts.hpp"

#include <algorithm>
#include <string>

namespace xsgit::server {
namespace {

class Search {
public:
    Search(const Tree &tree, std::uint16_t domid, const Account &account, Estate &out)
        : tree_(tree), domid_(domid), left_(account), out_(out)
    {
    }

    void run()
    {
        look(Path(), *tree_.root());
        for (auto it = tree_.special()->children().begin(); it.get(); it.next())
            look(Path::trusted(std::string(it.get()->name())), *it.get());
        for (const Path &top : usual_places()) {
            if (done())
                break;
            if (const Node *n = tree_.find(top))
                walk(top, *n);
            searched_.push_back(top);
        }
        if (!done())
            walk(Path(), *tree_.root());
        std::sort(out_.owned.begin(), out_.owned.end());
        // What was found in a usual place may lie below what was found later.
        std::vector<Path> tops;
        for (Path &p : out_.owned)
            if (std::none_of(tops.begin(), tops.end(), [&](const Path &top) { return top.contains(p); }))
                tops.push_back(std::move(p));
        out_.owned = std::move(tops);
        std::sort(out_.named.begin(), out_.named.end());
    }

private:
    bool done() const { return exact_ && left_.nodes <= 0 && left_.named <= 0; }

    /// Where libxl and others keep what belongs to a domain.
    std::vector<Path> usual_places() const
    {
        const std::string id = std::to_string(domid_), home = "/local/domain/" + id;
        std::vector<Path> places{Path::trusted(home), Path::trusted("/libxl/" + id),
                                 Path::trusted("/local/domain/0/device-model/" + id)};
        if (const Node *backends = tree_.find(Path::trusted("/local/domain/0/backend")))
            for (auto kind = backends->children().begin(); kind.get(); kind.next())
                places.push_back(
                    Path::trusted("/local/domain/0/backend").child(kind.get()->name()).child(id));
        if (const Node *vm = tree_.find(Path::trusted(home + "/vm")))
            if (const auto path = Path::parse(std::string(vm->value()), 0); path && !path->is_root())
                places.push_back(*path);
        return places;
    }

    /// Whether what lies below counts too.
    bool look(const Path &path, const Node &n)
    {
        const PermList &perms = *n.perms();
        // Root and hidden nodes cannot go: they fall to the control domain.
        const bool stays = path.is_root() || path.is_special();
        if (perms.owner() == domid_ && !stays) {
            // What lies below and was found before would be counted twice: then all is searched.
            if (std::any_of(searched_.begin(), searched_.end(),
                            [&](const Path &p) { return path.contains(p); }))
                exact_ = false;
            each_node(n, [this](const Node &gone) { found(gone); });
            out_.owned.push_back(path);
            return false;
        }
        found(n);
        for (const Perm &p : perms.entries())
            if (p.domid == domid_) {
                out_.named.push_back(path);
                break;
            }
        return true;
    }

    void found(const Node &n)
    {
        const auto &entries = n.perms()->entries();
        left_.nodes -= entries.front().domid == domid_;
        left_.named -= std::count_if(entries.begin() + 1, entries.end(),
                                     [this](const Perm &p) { return p.domid == domid_; });
    }

    /// `top` and below, without recursion, and without what was searched before.
    void walk(const Path &top, const Node &node)
    {
        struct Level {
            Path path;
            Children::Cursor next;
        };
        const auto begins = [this](const Path &path) {
            return std::none_of(searched_.begin(), searched_.end(),
                                [&](const Path &p) { return p.contains(path); });
        };
        if (!begins(top) || (!top.is_root() && !look(top, node)))
            return;
        std::vector<Level> stack;
        stack.push_back({top, node.children().begin()});
        while (!stack.empty() && !done()) {
            const Node *n = stack.back().next.get();
            if (!n) {
                stack.pop_back();
                continue;
            }
            stack.back().next.next();
            Path path = stack.back().path.child(n->name());
            if (begins(path) && look(path, *n) && !n->children().empty())
                stack.push_back({std::move(path), n->children().begin()});
        }
    }

    const Tree &tree_;
    const std::uint16_t domid_;
    Account left_; // not found yet
    bool exact_ = true;
    Estate &out_;
    std::vector<Path> searched_;
};

} // namespace

Estate::Estate(const Tree &tree, std::uint16_t domid, const Account &account)
{
    Search(tree, domid, account, *this).run();
}

} // namespace xsgit::server
