// SPDX-License-Identifier: MIT
// In which order records may come; writer and reader hold to the same.
#pragma once

#include "xsgit/session/record.hpp"

#include <cstdint>
#include <string>
#include <unordered_set>

namespace xsgit::session {

class Rules {
public:
    /// Empty if `body` may come now, and then it has; else why not. O(1).
    std::string refuse(const Body &body);
    bool open(std::uint64_t conn) const { return open_.contains(conn); }

private:
    std::unordered_set<std::uint64_t> open_; // at most kOpenMax
    std::uint64_t nodes_left_ = 0;
    bool begun_ = false, start_seen_ = false, ended_ = false;
};

} // namespace xsgit::session
