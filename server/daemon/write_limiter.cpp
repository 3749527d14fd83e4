// SPDX-License-Identifier: MIT
#include "server/daemon/write_limiter.hpp"

#include <algorithm>
#include <cmath>

namespace xsgit::server {
namespace {

constexpr std::int64_t kEarnEveryMs = 5;

} // namespace

void WriteLimiter::charge(std::uint32_t domid, std::size_t guests, std::int64_t now_ms)
{
    earn(guests, now_ms);
    double &credit = poor_.try_emplace(domid, kMost).first->second;
    credit -= 1;
    borrow(credit);
}

std::int64_t WriteLimiter::wait_ms(std::uint32_t domid, std::size_t guests, std::int64_t now_ms)
{
    const auto it = poor_.find(domid);
    if (it == poor_.end() || it->second >= 0)
        return 0;
    earn(guests, now_ms);
    const auto again = poor_.find(domid);
    if (again == poor_.end() || again->second >= 0)
        return 0;
    const double seconds =
        -again->second * static_cast<double>(std::max<std::size_t>(guests, 1)) / kPerSecond;
    // The reserve may come to help earlier: look again soon.
    return std::clamp<std::int64_t>(std::llround(seconds * 1000), kEarnEveryMs, 100);
}

double WriteLimiter::credit(std::uint32_t domid) const
{
    const auto it = poor_.find(domid);
    return it == poor_.end() ? kMost : it->second;
}

void WriteLimiter::earn(std::size_t guests, std::int64_t now_ms)
{
    const std::int64_t ms = now_ms - earned_ms_;
    if (ms < kEarnEveryMs)
        return;
    earned_ms_ = now_ms;
    const double all = std::min(kMostReserve, static_cast<double>(ms) / 1000 * kPerSecond);
    const double share = all / static_cast<double>(std::max<std::size_t>({guests, poor_.size(), 1}));
    double surplus = all - share * static_cast<double>(poor_.size());
    for (auto it = poor_.begin(); it != poor_.end();) {
        it->second += share;
        if (it->second < kMost) {
            ++it;
            continue;
        }
        surplus += it->second - kMost;
        it = poor_.erase(it);
    }
    reserve_ = std::min(kMostReserve, reserve_ + surplus);
    for (auto &[domid, credit] : poor_)
        borrow(credit);
}

void WriteLimiter::borrow(double &credit)
{
    const double lent = std::min(-credit, reserve_);
    if (lent <= 0)
        return;
    credit += lent;
    reserve_ -= lent;
}

} // namespace xsgit::server
