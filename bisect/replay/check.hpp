// SPDX-License-Identifier: MIT
// What came, held against what should have come.
#pragma once

#include "bisect/replay/script.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace xsgit::replay {

struct Difference {
    std::size_t client = 0;
    std::optional<Received> expected, got; // nullopt: nothing
    std::uint64_t record = 0;              // of what was expected; 0: not known
};

/// Two streams of messages to each client, compared as far as both have come. Replies and events of a client are
/// compared one after the other (`together`), or each for itself, when it is not known how they followed each other. `lenient`: see same_message().
class Checker {
public:
    Checker(bool together, bool lenient) : together_(together), lenient_(lenient) {}

    void expect(Received m, std::uint64_t record);
    void got(Received m);
    /// The first difference of those streams that have messages on both sides. Call it after a few messages.
    std::optional<Difference> compare();
    /// After compare(), when nothing more will come to `client`: what is missing, or too much on the other side.
    /// `surplus`: whether more than was expected is a difference.
    std::optional<Difference> finish(std::size_t client, bool surplus_events, bool surplus_replies);

private:
    struct Expected {
        Received m;
        std::uint64_t record;
    };
    struct Streams {
        std::deque<Expected> expected;
        std::deque<Received> got;
    };
    using Key = std::pair<std::size_t, bool>;
    Key key(const Received &m) const { return {m.client, !together_ && m.event}; }
    bool together_, lenient_;
    std::map<Key, Streams> streams_;
    std::map<Key, bool> fresh_; // those that changed since compare()
};

} // namespace xsgit::replay
