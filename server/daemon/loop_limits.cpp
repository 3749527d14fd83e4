// SPDX-License-Identifier: MIT
// Guests that write so much that others' transactions cannot succeed.
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <utility>

namespace xsgit::server {

/// Whether a guest has to wait before its next request. It is not even looked at: what it wants does not matter.
bool Loop::over_limit(Connection &c)
{
    if (c.fd != kNoFd || c.domid == 0)
        return false;
    const std::int64_t now = now_ms();
    for (const std::uint32_t domid : p_.fold.take_culprits())
        penalty_.caused(domid, now);
    const std::int64_t rate = limiter_.wait_ms(c.domid, rings_.size(), now);
    const std::int64_t penalty = penalty_.wait_ms(c.domid, now);
    const std::int64_t wait = std::max(rate, penalty);
    if (wait == 0)
        return false;
    limited_until_ms_ = limited_.empty() ? now + wait : std::min(limited_until_ms_, now + wait);
    p_.log.warning(fmt::format("write rate of domain {}", c.domid),
                   fmt::format("write rate limit: domain {} is affected: {}", c.domid,
                               penalty != 0 ? "its writes make others' transactions fail"
                                            : "it writes too much while others have transactions open"));
    return true;
}

void Loop::charge(const Connection &c, std::uint64_t commits_before)
{
    if (c.fd != kNoFd || c.domid == 0 || p_.fold.commits() == commits_before ||
        p_.fold.open_transactions() == 0)
        return;
    limiter_.charge(c.domid, rings_.size(), now_ms());
    p_.trace.credit(c.domid, limiter_.credit(c.domid), limiter_.reserve());
}

/// They are limited again if it is too early still.
void Loop::release_limited()
{
    for (Connection *c : std::exchange(limited_, {})) {
        c->held = false;
        look(*c);
    }
}

} // namespace xsgit::server
