// SPDX-License-Identifier: MIT
// What may follow what in a session.
#include "xsgit/session/rules.hpp"

#include <fmt/core.h>

namespace xsgit::session {

std::string Rules::refuse(const Body &body)
{
    const bool meta = std::holds_alternative<Meta>(body);
    if (ended_)
        return "it stands behind the end mark";
    if (meta == begun_)
        return meta ? "a second description of the session"
                    : "the description of the session must come first";
    begun_ = true;
    const bool node = std::holds_alternative<Node>(body);
    if (node != (nodes_left_ > 0))
        return node ? "a node where none was announced"
                    : fmt::format("{} nodes of the starting state are missing before it", nodes_left_);
    if (node) {
        --nodes_left_;
    } else if (const auto *start = std::get_if<Start>(&body)) {
        if (start_seen_)
            return "a second starting state";
        if (!start->known && start->nodes > 0)
            return "nodes of a starting state that is not known";
        start_seen_ = true;
        nodes_left_ = start->nodes;
    } else if (const auto *opened = std::get_if<Opened>(&body)) {
        if (open_.size() >= kOpenMax)
            return fmt::format("more than {} connections are open", kOpenMax);
        if (!open_.insert(opened->conn).second)
            return fmt::format("connection {} is open already", opened->conn);
    } else if (const auto conn = connection_of(body); conn && !open_.contains(*conn)) {
        return fmt::format("connection {} is not open", *conn);
    } else if (std::holds_alternative<Closed>(body)) {
        open_.erase(*conn);
    } else if (std::holds_alternative<End>(body)) {
        ended_ = true;
    }
    return {};
}

} // namespace xsgit::session
