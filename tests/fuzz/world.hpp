// SPDX-License-Identifier: MIT
// An engine with sockets and guests that counts replies: what every fuzzer checks after each message.
#pragma once

#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit::server::fuzz {

/// Says `what` and aborts: libFuzzer keeps the input.
[[noreturn]] void wrong(const char *what);

inline void require(bool good, const char *what)
{
    if (!good)
        wrong(what);
}

class World {
public:
    /// Two sockets (connections 1 and 2), domains 5 and 6 with rings (3 and 4).
    World();
    /// A whole request of `conn`; aborts unless it is answered exactly once (unknown connections: not at all).
    void request(std::uint64_t conn, std::uint32_t type, std::uint32_t tx, std::string_view payload);
    void event(EventKind kind, std::uint64_t conn, std::string_view facts);
    /// The sums are what the tree says; the state survives being saved and loaded. Aborts if not.
    void check();

private:
    std::string facts_of(const Event &e) const;
    void step(Event &e);
    State state_;
    Outputs out_;
    std::uint64_t requests_ = 0;
};

/// Bytes of the input, one after the other; zeros at its end.
class Input {
public:
    Input(const std::uint8_t *data, std::size_t size) : rest_(reinterpret_cast<const char *>(data), size) {}
    bool empty() const noexcept { return rest_.empty(); }
    std::uint8_t byte() noexcept;
    std::string_view take(std::size_t n) noexcept;
    std::string_view all() noexcept { return take(rest_.size()); }

private:
    std::string_view rest_;
};

} // namespace xsgit::server::fuzz
