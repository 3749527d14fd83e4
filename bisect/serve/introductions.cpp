// SPDX-License-Identifier: MIT
// From the newest commit back: the first word of a domain is the last one that was said of it.
#include "bisect/serve/introductions.hpp"

#include "server/engine/wire.hpp"
#include "xsgit/change.hpp"

#include <string_view>

namespace xsgit::bisect {

void Introductions::look_at(const std::string &subject)
{
    constexpr std::string_view kHome = " /local/domain/";
    const std::size_t home = subject.find(kHome);
    if (home == subject.npos || home + kHome.size() == subject.size())
        return;
    const auto domid = server::parse_domid(std::string_view(subject).substr(home + kHome.size()));
    if (!domid)
        return;
    const std::string_view op = std::string_view(subject).substr(0, home);
    if (op == op_name(OpKind::Introduce))
        known_.emplace(*domid, true);
    else if (op == op_name(OpKind::Release) || op == op_name(OpKind::Death))
        known_.emplace(*domid, false);
}

bool Introductions::operator()(std::uint32_t domid)
{
    for (;;) {
        if (const auto it = known_.find(domid); it != known_.end())
            return it->second;
        const auto c = walk_.next();
        if (!c)
            return walk_.was_cut();
        look_at(c->info.message.substr(0, c->info.message.find('\n')));
    }
}

} // namespace xsgit::bisect
