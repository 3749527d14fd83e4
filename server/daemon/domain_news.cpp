// SPDX-License-Identifier: MIT
#include "server/daemon/domain_news.hpp"

#include <algorithm>
#include <optional>

namespace xsgit::server {

namespace {

/// An event has room for 16 KiB; one domain takes 40 bytes at most.
constexpr std::size_t kFactsMost = 8192;

bool differs(const State::KnownDomain &known, const PresentDomain &now) noexcept
{
    return known.unique_id != 0 && now.unique_id != 0 && known.unique_id != now.unique_id;
}

std::optional<DomainNews::What> change_of(const State::KnownDomain &known, const PresentDomain *now)
{
    if (!now || now->dying)
        return DomainNews::What::Dead;
    if (differs(known, *now))
        return DomainNews::What::Alive; // another one: the state sees it by the number
    if (now->shutdown && known.introduced && !known.shutdown)
        return DomainNews::What::Shutdown;
    return std::nullopt;
}

} // namespace

std::vector<std::string> news_of(const std::vector<State::KnownDomain> &known,
                                 const std::vector<PresentDomain> &present,
                                 const std::vector<std::uint32_t> &held)
{
    std::vector<std::string> out;
    const auto tell = [&](const DomainNews &n) {
        if (out.empty() || out.back().size() > kFactsMost)
            out.emplace_back();
        add_news(out.back(), n);
    };
    for (State::KnownDomain k : known) {
        if (k.domid == 0)
            continue;
        const auto it = std::lower_bound(present.begin(), present.end(), k.domid,
                                         [](const PresentDomain &p, std::uint32_t d) { return p.domid < d; });
        const PresentDomain *now = it != present.end() && it->domid == k.domid ? &*it : nullptr;
        if (now && differs(k, *now) && std::binary_search(held.begin(), held.end(), k.domid)) {
            k.unique_id = now->unique_id;
            tell({k.domid, k.unique_id, DomainNews::What::Same});
        }
        if (const auto what = change_of(k, now))
            tell({k.domid, now ? now->unique_id : k.unique_id, *what});
    }
    return out;
}

} // namespace xsgit::server
