// SPDX-License-Identifier: MIT
// The comparison of streams.
#include "bisect/replay/check.hpp"

#include "bisect/replay/runner.hpp"

namespace xsgit::replay {

void Checker::expect(Received m, std::uint64_t record)
{
    const Key k = key(m);
    streams_[k].expected.push_back({std::move(m), record});
    fresh_[k] = true;
}

void Checker::got(Received m)
{
    const Key k = key(m);
    streams_[k].got.push_back(std::move(m));
    fresh_[k] = true;
}

std::optional<Difference> Checker::compare()
{
    for (const auto &[k, yes] : fresh_) {
        Streams &s = streams_[k];
        for (; !s.expected.empty() && !s.got.empty(); s.expected.pop_front(), s.got.pop_front())
            if (!same_message(s.expected.front().m, s.got.front(), lenient_))
                return Difference{k.first, s.expected.front().m, s.got.front(), s.expected.front().record};
    }
    fresh_.clear();
    return std::nullopt;
}

std::optional<Difference> Checker::finish(std::size_t client, bool surplus_events, bool surplus_replies)
{
    for (const bool events : {false, true}) {
        const auto it = streams_.find({client, events});
        if (it == streams_.end())
            continue;
        const Streams s = std::move(it->second);
        streams_.erase(it);
        if (!s.expected.empty())
            return Difference{client, s.expected.front().m, std::nullopt, s.expected.front().record};
        for (const Received &m : s.got)
            if (m.event ? surplus_events : surplus_replies)
                return Difference{client, std::nullopt, m, 0};
    }
    return std::nullopt;
}

} // namespace xsgit::replay
