// SPDX-License-Identifier: MIT
// What a process knew when it sent a request: the replies that it had got on all its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace xsgit::replay {

/// The latest replies of one process, without those that a later one implies: a request was sent after all replies before it,
/// so its own reply stands for them. One that waits for each reply has one here; at most one for each connection.
class ProcessReplies {
public:
    /// The number of replies so far: the moment at which a request is sent.
    std::uint64_t now() const noexcept { return now_; }

    /// The reply to `step` of `client`, which was sent at that moment.
    void answered(std::size_t client, std::size_t step, std::uint64_t sent);

    /// Steps of other clients that were answered after `moment` and are implied by nothing later. O(those that are given).
    std::vector<std::size_t> since(std::uint64_t moment, std::size_t client) const;

private:
    struct Reply {
        std::size_t client, step;
    };
    void forget(std::map<std::uint64_t, Reply>::iterator reply);

    std::map<std::uint64_t, Reply> replies_; // by their number, the first is 1
    std::unordered_map<std::size_t, std::uint64_t> of_client_;
    std::uint64_t now_ = 0;
};

} // namespace xsgit::replay
