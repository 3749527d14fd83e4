// SPDX-License-Identifier: MIT
// What step() answers: messages for connections, in order, in one reusable buffer.
// The name of an output is (event number, index in this list).
#pragma once

#include "xsgit/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

struct Output {
    std::uint64_t conn = 0;   // incarnation of the receiver
    std::uint32_t offset = 0; // of the whole message (header and payload) in the buffer
    std::uint32_t length = 0;
    bool event = false; // watch event (may be coalesced or dropped), else a reply
};

/// What the hypervisor side has to do, in order; like a message it follows from the event alone.
struct Order {
    enum class Kind : std::uint8_t {
        Attach, // the ring that the facts spoke of belongs to connection `conn` from now on: make its indexes
                // zero, tell features, end a wait for reconnection, then serve it
        Detach, // unmap the ring of `conn`, give its event channel back
    };
    Kind kind;
    std::uint32_t domid;
    std::uint64_t conn;
    std::uint32_t features; // Attach: what the ring's page shall offer
};

/// A request that a limit refused, or a soft limit that was passed: for the log, not part of what is compared.
struct Refusal {
    enum class Kind : std::uint8_t {
        Refused,
        Above, // of a soft limit
        Below, // of it, again
        Fixed, // a limit that is no quota
    };
    std::uint32_t domid;
    std::string_view limit; // its name in GET_QUOTA, or FixedLimit's words; static
    std::uint64_t value;    // the limit's
    Kind kind = Kind::Refused;
    std::uint64_t used = 0; // Above, Below: what the domain has now
    std::uint64_t conn = 0; // Fixed: who wanted more
};

class Outputs {
public:
    void clear() noexcept;
    bool empty() const noexcept { return items_.empty(); }
    const std::vector<Order> &orders() const noexcept { return orders_; }
    const std::vector<Refusal> &refusals() const noexcept { return refusals_; }
    const std::vector<Output> &items() const noexcept { return items_; }
    /// Header and payload. Valid until the next change.
    std::string_view bytes(const Output &o) const noexcept;

    /// Adds a whole message. Payload at most kPayloadMax (the caller has checked).
    void reply(std::uint64_t conn, std::uint32_t type, std::uint32_t req_id, std::uint32_t tx_id,
               std::string_view payload);
    void error(std::uint64_t conn, std::uint32_t req_id, std::uint32_t tx_id, Error e);
    void event(std::uint64_t conn, std::string_view path, std::string_view token);

    void order(const Order &o) { orders_.push_back(o); }
    void refuse(const Refusal &r) { refusals_.push_back(r); }

    /// XXH3-64 over receivers and bytes and orders, in order; 0 if there are none.
    std::uint64_t hash() const noexcept;

private:
    void add(std::uint64_t conn, std::uint32_t type, std::uint32_t req_id, std::uint32_t tx_id,
             std::string_view a, std::string_view b, bool event);
    std::vector<Output> items_;
    std::vector<Order> orders_;
    std::vector<Refusal> refusals_;
    std::string data_;
};

} // namespace xsgit::server
