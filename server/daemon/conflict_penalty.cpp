// SPDX-License-Identifier: MIT
#include "server/daemon/conflict_penalty.hpp"

#include <algorithm>
#include <utility>

namespace xsgit::server {

bool ConflictPenalty::Record::is_busy() const noexcept
{
    const std::int64_t last = commits[(next_commit + kBusy - 1) % kBusy];
    return seen == kBusy && last - commits[next_commit] <= kBusyMs;
}

ConflictPenalty::Record &ConflictPenalty::record(std::uint32_t domid, std::int64_t now_ms)
{
    const auto [it, fresh] = guilty_.try_emplace(domid);
    if (fresh)
        it->second.at_ms = now_ms;
    return it->second;
}

void ConflictPenalty::wrote(std::uint32_t domid, std::int64_t now_ms)
{
    Record &r = record(domid, now_ms);
    r.commits[r.next_commit] = now_ms;
    r.next_commit = (r.next_commit + 1) % kBusy;
    r.seen = std::min(r.seen + 1, kBusy);
}

void ConflictPenalty::caused(std::uint32_t domid, std::int64_t now_ms)
{
    Record &r = record(domid, now_ms);
    // Who writes now and then does no harm as long as some of them get through.
    if (std::exchange(r.successes, successes_) != successes_)
        r.in_a_row = 0;
    if (++r.in_a_row <= kInARow && !r.is_busy())
        return;
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
