// SPDX-License-Identifier: MIT
// The smallest part of a session that still fails: whole connections go first, then chunks of requests, then single ones.
#pragma once

#include "bisect/replay/script.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace xsgit::replay {

struct Minimized {
    Script script;
    std::uint64_t runs = 0; // how often the predicate was asked
    bool single = false;    // no single request can be left out; false: `runs` were used up before
};

/// `fails` must be true of `script` itself and must not depend on the past. Asks at most `max_runs` times; usually a few for each
/// request that stays, times the logarithm of those that there are. `tell`, if any, hears of every success.
Minimized minimize(const Script &script, const std::function<bool(const Script &)> &fails,
                   std::uint64_t max_runs, const std::function<void(std::size_t requests_left)> &tell = {});

/// Delta debugging: a part of 0…n-1 that still fails, none of whose members can be left out. `fails` gets sorted parts.
/// Ends early when it throws, or `stop` says so.
std::vector<std::size_t> smallest_part(std::size_t n,
                                       const std::function<bool(const std::vector<std::size_t> &)> &fails,
                                       const std::function<bool()> &stop);

} // namespace xsgit::replay
