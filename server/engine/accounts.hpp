// SPDX-License-Identifier: MIT
// Who owns how many nodes: a function of the tree, kept up to date by differences.
#pragma once

#include "server/engine/domain.hpp"
#include "xsgit/tree/tree.hpp"

#include <map>
#include <vector>

namespace xsgit::server {

/// Bytes that a node counts against its owner's memory: 16, 8 for each permission, name and value.
std::int64_t node_bytes(const Node &n) noexcept;
/// What the quota node-size limits: 16, 8 for each permission, value, names of the children.
std::uint64_t node_size(const Node &n) noexcept;

using Charge = std::pair<std::uint32_t, Account>; // domid, difference

/// Differences of one operation: mostly one or two domains, so no allocation then.
class Charges {
public:
    void add(std::uint32_t domid, const Account &difference);
    void clear() noexcept;
    Account of(std::uint32_t domid) const noexcept;
    template <class F>
    void each(F f) const
    {
        for (std::size_t i = 0; i < used_; ++i)
            f(few_[i].first, few_[i].second);
        for (const auto &[domid, difference] : more_)
            f(domid, difference);
    }

private:
    std::array<Charge, 4> few_{};
    std::size_t used_ = 0;
    std::map<std::uint32_t, Account> more_;
};

class Accounts {
public:
    /// Those of a whole tree. O(nodes).
    static Accounts of(const Tree &tree);
    Account get(std::uint32_t domid) const noexcept;
    void add(std::uint32_t domid, const Account &difference);
    void add(const Charges &charges);
    void add(const Accounts &difference);
    void clear() noexcept { accounts_.clear(); }
    const std::map<std::uint32_t, Account> &all() const noexcept { return accounts_; }
    friend bool operator==(const Accounts &, const Accounts &) = default;

private:
    std::map<std::uint32_t, Account> accounts_; // none of zero
};

/// `n` comes (sign 1) or goes (-1): for its owner, and for those whom its permissions name. `to`: Charges or Accounts.
template <class Sums>
void charge_node(Sums &to, const Node &n, int sign)
{
    const auto &entries = n.perms()->entries();
    to.add(entries.front().domid, {sign, sign * node_bytes(n), 0});
    for (std::size_t i = 1; i < entries.size(); ++i)
        to.add(entries[i].domid, {0, 0, sign});
}

/// Every node of a subtree, the top first; no recursion. `f(node)`.
template <class F>
void each_node(const Node &top, F f)
{
    f(top);
    std::vector<Children::Cursor> stack{top.children().begin()};
    while (!stack.empty()) {
        const Node *n = stack.back().get();
        if (!n) {
            stack.pop_back();
            continue;
        }
        stack.back().next();
        f(*n);
        if (!n->children().empty())
            stack.push_back(n->children().begin());
    }
}

} // namespace xsgit::server
