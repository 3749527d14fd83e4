// SPDX-License-Identifier: MIT
// What the store knows of a domain: from the first permission that names it, or its
// introduction, to its death or RELEASE.
#pragma once

#include "server/engine/quota.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace xsgit::server {

/// Bits of GET_FEATURE, and of server_features in the ring's page (xs_wire.h).
inline constexpr std::uint32_t kFeatureError = 2;    // the page's error field is written
inline constexpr std::uint32_t kFeatureDepth = 4;    // WATCH takes a depth
inline constexpr std::uint32_t kFeatureDomidAny = 8; // permissions for every domain
inline constexpr std::uint32_t kFeatures = kFeatureError | kFeatureDepth | kFeatureDomidAny;

struct Domain {
    std::uint32_t domid = 0;
    std::uint64_t unique_id = 0; // Xen's number that is never used again; 0: not known
    bool introduced = false;
    bool shutdown = false;  // @releaseDomain was sent for it; until RESUME
    std::uint32_t port = 0; // introduced: the guest's event channel
    std::uint64_t conn = 0; // introduced: incarnation of its ring's connection
    std::uint32_t features = kFeatures;
    std::optional<std::uint32_t> target;
    Quotas quotas; // copied from the global ones when the record was made
    Peaks peak{};
    // Not state, nor saved: what the log was told of its soft limit of memory.
    bool above_soft = false;
    std::int64_t soft_told_us = 0; // wall clock of the event; 0: never
};

/// What a domain owns in a tree. In a transaction: the difference to the tree it started from.
struct Account {
    std::int64_t nodes = 0;
    std::int64_t bytes = 0; // see node_bytes()
    std::int64_t named = 0; // permissions for it on nodes, those of owners not counted
    Account &operator+=(const Account &o) noexcept
    {
        nodes += o.nodes;
        bytes += o.bytes;
        named += o.named;
        return *this;
    }
    friend bool operator==(const Account &, const Account &) = default;
};

} // namespace xsgit::server
