// SPDX-License-Identifier: MIT
// The page that a guest and its store share, as xs_wire.h has it. Both sides write to it at any time, and the guest may
// write nonsense: every word is read once into a local variable, checked, then used.
//
// Each direction is a ring of 1,024 bytes with free-running indexes, masked on use; valid if producer - consumer <= 1024.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace xsgit::server {

inline constexpr std::uint32_t kRingSize = 1024;
inline constexpr std::uint32_t kRingMask = kRingSize - 1;

struct RingPage {
    char req[kRingSize]; // guest to store
    char rsp[kRingSize]; // store to guest
    std::uint32_t req_cons, req_prod;
    std::uint32_t rsp_cons, rsp_prod;
    std::uint32_t server_features;
    std::uint32_t connection;
    std::uint32_t error;
    std::uint32_t evtchn_port; // Xen 4.21 and newer: of domains that were there before any toolstack; else 0
};
static_assert(offsetof(RingPage, req_cons) == 2048 && offsetof(RingPage, evtchn_port) == 2076);

/// RingPage::connection. A guest, or its toolstack, that waits for a new connection has put 1 there.
inline constexpr std::uint32_t kRingConnected = 0, kRingReconnect = 1;

/// RingPage::error, and the facts of an Ignore event.
enum class RingError : std::uint32_t { None = 0, Communication = 1, Index = 2, Protocol = 3 };

/// One read, one write: the compiler neither repeats nor tears them. A load comes before what is read behind it, a store
/// after what was written before it; nothing more (no fence between a store and a later load).
inline std::uint32_t load_word(const std::uint32_t &word) noexcept
{
    return std::atomic_ref<std::uint32_t>(const_cast<std::uint32_t &>(word)).load(std::memory_order_acquire);
}
inline void store_word(std::uint32_t &word, std::uint32_t value) noexcept
{
    std::atomic_ref<std::uint32_t>(word).store(value, std::memory_order_release);
}

} // namespace xsgit::server
