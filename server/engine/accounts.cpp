// SPDX-License-Identifier: MIT
#include "server/engine/accounts.hpp"

namespace xsgit::server {

std::int64_t node_bytes(const Node &n) noexcept
{
    return static_cast<std::int64_t>(16 + 8 * n.perms()->entries().size() + n.name().size() +
                                     n.value().size());
}

std::uint64_t node_size(const Node &n) noexcept
{
    return 16 + 8 * n.perms()->entries().size() + n.value().size() + n.children().names_bytes();
}

void Charges::add(std::uint32_t domid, const Account &difference)
{
    for (std::size_t i = 0; i < used_; ++i)
        if (few_[i].first == domid) {
            few_[i].second += difference;
            return;
        }
    if (used_ < few_.size())
        few_[used_++] = {domid, difference};
    else
        more_[domid] += difference;
}

void Charges::clear() noexcept
{
    used_ = 0;
    more_.clear();
}

Account Charges::of(std::uint32_t domid) const noexcept
{
    Account out;
    each([&](std::uint32_t id, const Account &d) {
        if (id == domid)
            out += d;
    });
    return out;
}

Accounts Accounts::of(const Tree &tree)
{
    Accounts out;
    for (const NodeRef &top : {tree.root(), tree.special()})
        if (top)
            each_node(*top, [&](const Node &n) {
                if (&n != tree.special().get()) // only holds the hidden nodes together
                    charge_node(out, n, 1);
            });
    return out;
}

Account Accounts::get(std::uint32_t domid) const noexcept
{
    const auto it = accounts_.find(domid);
    return it == accounts_.end() ? Account() : it->second;
}

void Accounts::add(std::uint32_t domid, const Account &difference)
{
    const auto it = accounts_.try_emplace(domid).first;
    it->second += difference;
    if (it->second == Account())
        accounts_.erase(it);
}

void Accounts::add(const Charges &charges)
{
    charges.each([this](std::uint32_t domid, const Account &d) { add(domid, d); });
}

void Accounts::add(const Accounts &difference)
{
    for (const auto &[domid, d] : difference.accounts_)
        add(domid, d);
}

} // namespace xsgit::server
