// SPDX-License-Identifier: MIT
#include "server/daemon/conflict_penalty.hpp"

#include <algorithm>

namespace xsgit::server {

void ConflictPenalty::caused(std::uint32_t domid, std::int64_t now_ms)
{
    Record &r = guilty_.try_emplace(domid, Record{kFree, now_ms, 0, kFirstMs}).first->second;
    // Several transactions that one write made fail, and what it wrote before it was stopped, count once.
    if (now_ms < r.until_ms)
        return;
    r.free = std::min(kFree, r.free + static_cast<double>(now_ms - r.at_ms) / kFreeEveryMs);
    r.at_ms = now_ms;
    if (r.free >= kFree)
        r.next_ms = kFirstMs;
    if (r.free >= 1) {
        r.free -= 1;
        return;
    }
    r.until_ms = now_ms + r.next_ms;
    r.next_ms = std::min(kFactor * r.next_ms, kMostMs);
}

std::int64_t ConflictPenalty::wait_ms(std::uint32_t domid, std::int64_t now_ms) const
{
    const auto it = guilty_.find(domid);
    return it == guilty_.end() ? 0 : std::max<std::int64_t>(0, it->second.until_ms - now_ms);
}

} // namespace xsgit::server
