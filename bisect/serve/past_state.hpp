// SPDX-License-Identifier: MIT
// One past state of the store as a xenstored answers for it: the engine on a tree that nobody can change.
#pragma once

#include "server/engine/output.hpp"
#include "server/engine/state.hpp"

#include <cstdint>
#include <functional>
#include <string_view>

namespace xsgit::bisect {

class PastState {
public:
    /// Whether a domain was introduced then. Asked only when a client asks, and only for domains that had a home.
    using Introduced = std::function<bool(std::uint32_t domid)>;

    /// O(nodes): the engine counts what domains own.
    PastState(Tree tree, Introduced introduced);

    /// A client of the control domain; its incarnation, never 0.
    std::uint64_t connect();
    void close(std::uint64_t conn);

    /// The answer to `wire`, which is one whole request (read_request() takes it), and events behind it; at most two
    /// messages. Requests that would change nodes get EROFS; those about the daemon or the host that lived then, which
    /// history does not hold, EACCES; all others what the engine says. Valid until the next call.
    const server::Outputs &request(std::uint64_t conn, std::string_view wire);

private:
    void step(Event &e);
    bool was_introduced(std::string_view payload) const;

    server::State state_;
    server::Outputs out_;
    Introduced introduced_;
    std::uint64_t requests_ = 0;
};

} // namespace xsgit::bisect
