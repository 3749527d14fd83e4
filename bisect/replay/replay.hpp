// SPDX-License-Identifier: MIT
// A whole session played, and compared with what was recorded or with another target.
#pragma once

#include "bisect/replay/check.hpp"
#include "bisect/replay/script.hpp"
#include "bisect/replay/target.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::replay {

struct ReplayOptions {
    bool check = false;   // against the recording
    bool lenient = false; // see same_message()
    /// Called before each step; false ends the replay there.
    std::function<bool(const Step &)> before;
    /// And behind it, with what came.
    std::function<void(const Step &, const std::vector<Received> &)> after;
    /// What came when all that the steps so far caused was waited for. Of two targets, here and above, that of the second.
    std::function<void(const std::vector<Received> &)> late;
};

struct Outcome {
    std::optional<Difference> difference; // the first; the replay ended there
    std::size_t step = 0;                 // index of the step at which it was seen
    std::size_t steps = 0, requests = 0;  // played
    std::size_t compared = 0;             // messages that agreed, all in all when there is no difference
};

/// Throws TargetFailed, NotPlayable.
Outcome replay(const Script &script, Target &target, const ReplayOptions &options);

/// The same steps to both; the first difference of what they say ("expected" is what `a` says).
Outcome compare(const Script &script, Target &a, Target &b, const ReplayOptions &options);

/// "record 12, c3 WRITE /a|1: expected OK|, got ENOENT|" on lines.
std::string difference_text(const Script &script, const Outcome &o, std::string_view expected_name,
                            std::string_view got_name);

/// Another legal order of the steps under `seed`: each connection keeps its own, and nothing is asked before a reply that
/// the process which asks had got. Connections and news of domains stay where they were among the rest as far as the
/// steps they bind say. The recorded replies are not those that this order will have.
Script reinterleave(const Script &script, std::uint64_t seed);

} // namespace xsgit::replay
