// SPDX-License-Identifier: MIT
// Watch events that a guest's requests have caused on other connections, and that wait there. A request is outstanding
// until all of them are taken: a guest that writes faster than others read is read more slowly, before their queues
// are full and what others have to tell is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace xsgit::server {

class CausedEvents {
public:
    struct Load {
        std::size_t requests = 0; // of which events wait
        std::size_t bytes = 0;    // of these events
    };

    /// An event of `bytes` bytes that request `event` (its number) of connection `by` has caused waits. O(1).
    void waits(std::uint64_t event, std::uint64_t by, std::size_t bytes);
    /// It does not any more. The connection whose load is less now; 0: not known.
    std::uint64_t gone(std::uint64_t event, std::size_t bytes);
    Load load(std::uint64_t by) const;
    /// `by` is gone; what waits does not count any more.
    void forget(std::uint64_t by) { loads_.erase(by); }
    bool empty() const noexcept { return requests_.empty(); }

private:
    struct Request {
        std::uint64_t by = 0;
        std::size_t events = 0;
    };
    std::unordered_map<std::uint64_t, Request> requests_; // by number; at most those of `loads_`
    std::unordered_map<std::uint64_t, Load> loads_;       // by connection
};

} // namespace xsgit::server
