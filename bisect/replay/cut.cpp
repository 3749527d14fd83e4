// SPDX-License-Identifier: MIT
// The begin of a session.
#include "bisect/replay/script.hpp"

#include <algorithm>

namespace xsgit::replay {

Script first_steps(Script s, std::size_t n)
{
    if (n >= s.steps.size())
        return s;
    s.steps.resize(n);
    s.cut = true;
    // Clients are numbered as they come.
    s.clients.resize(
        static_cast<std::size_t>(std::count_if(s.steps.begin(), s.steps.end(), [](const Step &step) {
            return std::holds_alternative<session::Opened>(step.what);
        })));
    std::erase_if(s.watches, [&](const session::Watch &w) { return w.conn >= s.clients.size(); });
    std::size_t kept = 0, known = 0;
    for (std::size_t i = 0; i < s.received.size(); ++i) {
        if (s.received[i].client >= s.clients.size())
            continue;
        known += i < s.known_until;
        if (kept != i) {
            s.received[kept] = std::move(s.received[i]);
            s.received_records[kept] = s.received_records[i];
        }
        ++kept;
    }
    s.received.resize(kept);
    s.received_records.resize(kept);
    s.known_until = known;
    return s;
}

Script cut(Script s, const Limit &limit)
{
    std::uint64_t requests = 0;
    const auto end = std::find_if(s.steps.begin(), s.steps.end(), [&](const Step &step) {
        return step.at_us > limit.at_us || (step.request() && ++requests > limit.requests);
    });
    const auto n = static_cast<std::size_t>(end - s.steps.begin());
    return first_steps(std::move(s), n);
}

} // namespace xsgit::replay
