// SPDX-License-Identifier: MIT
// Which values nobody shall find in a recording.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::record {

/// "*": any bytes, "/" too; "?": one byte; all else is itself. O(pattern x text).
bool glob_matches(std::string_view pattern, std::string_view text) noexcept;

class Redaction {
public:
    explicit Redaction(std::vector<std::string> globs = {}) : globs_(std::move(globs)) {}

    bool active() const noexcept { return !globs_.empty(); }
    /// Whether the value of the node that a client of `domid` (nullopt: not known) names so is to be hidden. In doubt it is:
    /// a path that is none, a relative one of nobody knows whom.
    bool hides(std::string_view path, std::optional<std::uint32_t> domid) const;
    /// What takes the place of a value of the node at the absolute `path`: itself, or as many "*".
    std::string shown(std::string_view path, std::string_view value) const;

private:
    std::vector<std::string> globs_;
};

/// What is to be hidden on one connection. Replies come in the order of the requests (all daemons hold to it), so a value that was
/// read is told by its place.
class ConnectionRedaction {
public:
    ConnectionRedaction(const Redaction &rules, std::optional<std::uint32_t> domid)
        : rules_(&rules), domid_(domid)
    {
    }
    /// Makes the value in the payload of a request unreadable, length kept. True if there was one.
    bool request(std::uint32_t type, std::string &payload);
    /// The same for what is answered.
    bool reply(std::uint32_t type, std::string &payload);

private:
    const Redaction *rules_;
    std::optional<std::uint32_t> domid_;
    std::deque<bool> unanswered_; // whether the answer is to be hidden; at most kUnansweredMax
    bool lost_count_ = false;     // more than that: all values are hidden from then on
};

} // namespace xsgit::record
