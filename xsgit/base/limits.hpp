// SPDX-License-Identifier: MIT
// Every bound in one place: what a client can make us allocate ends here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xsgit {

/// xs_wire.h: largest payload, both directions, bytes.
inline constexpr std::size_t kPayloadMax = 4096;
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMessageMax = kHeaderSize + kPayloadMax;

/// Domids from here on are reserved by Xen (xen.h).
inline constexpr std::uint32_t kDomidFirstReserved = 0x7ff0;
inline constexpr std::uint32_t kDomidSelf = 0x7ff0;
inline constexpr std::uint32_t kDomidInvalid = 0x7ff4;
inline constexpr std::uint32_t kDomidAny = 0x7ff5;

/// A directory with more children is split into hash buckets in git.
inline constexpr std::size_t kFlatChildren = 128;

/// Entries of a permission list that a privileged client may store; the
/// payload alone would allow about 1,300.
inline constexpr std::size_t kPermsMax = 256;

/// Per connection, privileged clients too (unprivileged ones have the smaller
/// quotas of the C daemon). A refused request is answered ENOSPC.
inline constexpr std::size_t kWatchesPerConnection = 65536;
inline constexpr std::size_t kTransactionsPerConnection = 1024;
inline constexpr std::size_t kRequestsPerTransaction = 65536;
/// The same of domains: while they are done again, nobody is served.
inline constexpr std::size_t kRequestsPerGuestTransaction = 4096;
/// In open transactions of a domain: those of more end with EAGAIN when an epoch ends, instead of being done again.
inline constexpr std::size_t kRequestsOverAnEpoch = 256;
/// Of all open transactions of the connection together: they are part of each checkpoint.
inline constexpr std::size_t kTransactionLogBytes = 4u << 20;

/// Bytes of unsent replies and events of one connection above which no more of
/// its requests are read, and above which its watch events are dropped.
inline constexpr std::size_t kOutputStall = 256u << 10;
inline constexpr std::size_t kOutputDropEvents = 1u << 20;
/// Beyond that, those who have caused less than a share of what waits are still heard of, up to a last limit.
inline constexpr std::size_t kOutputShare = 64u << 10;
inline constexpr std::size_t kOutputMost = 4u << 20;

/// Socket clients served at once; further ones wait in the listen backlog.
inline constexpr std::size_t kSocketConnections = 16384;
/// Domains served at once; introducing a further one fails.
inline constexpr std::size_t kRingConnections = 16384;

} // namespace xsgit
