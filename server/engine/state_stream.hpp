// SPDX-License-Identifier: MIT
// The record types of a checkpoint: Xen's where it has them, ours where it has none.
//
//   2 CONNECTION_DATA, 8 WATCH_DATA_EXTENDED   as in xenstore-migration.md; a socket's descriptor is -1 (the
//                    slots know it), watch paths as the client gave them, 0xffff = no depth
//   kHeadRecord      20 bytes id of main's commit, 20 bytes its tree, u64 number and 20 bytes id of the conflicts'
//                    tip, u64 seq and 3 * 20 bytes ids of the epoch's first commits (EpochStart)
//   kStateRecord     u64 event number, seq, conflicts, first seq of the epoch, wall time (us), next connection; u32 epoch
//   kSettingsRecord  the global limits, u32 each in the order of Quota; u32 1 to keep orphans; the peaks, u64 each
//   kDomainRecord    u32 domid, u32 bits (1 introduced, 2 shut down, 4 has a target), u64 unique id, u64 incarnation of its ring,
//                    u32 port, u32 features, u32 target, u32 0; limits and peaks as above
//   kClientRecord    u32 connection id in this stream, u32 next transaction id, u64 incarnation, u64 requests executed,
//                    u32 domid, u32 bits (1 a ring, 2 ignored), text peer. Follows its CONNECTION_DATA
//   kTransactionRecord  u32 connection id, u32 transaction id, u64 seq it started from, 20 bytes that commit,
//                    u32 what END answers (Error; 0: not doomed), u32 number of requests; each: u32 type, u32 1 + the
//                    Error with which a limit refused it, else 0, u64 answer, text payload, text facts
//   kUnsentRecord    u64 incarnation, u64 event, u32 index, u32 1 for a watch event, text message
//   kGapRecord       u64 seq of the last commit that history has, u64 number of the last conflict: what came since is
//                    given up, until the epoch that ends the gap
//   kTreeRecord      a tree, without git (store/tree_record.hpp): that of the state first, then those that open
//                    transactions started from; such a transaction has its seq, u64, for the commit's id
// text = u32 length and bytes. Order: head, gap and trees if any, state, settings, domains, then each connection with its records, then unsent outputs.
#pragma once

#include <cstdint>

namespace xsgit::server {

inline constexpr std::uint32_t kConnectionData = 2;
inline constexpr std::uint32_t kWatchDataExtended = 8;
inline constexpr std::uint32_t kHeadRecord = 0x78730001;
inline constexpr std::uint32_t kStateRecord = 0x78730002;
inline constexpr std::uint32_t kClientRecord = 0x78730003;
inline constexpr std::uint32_t kTransactionRecord = 0x78730004;
inline constexpr std::uint32_t kUnsentRecord = 0x78730005;
inline constexpr std::uint32_t kSettingsRecord = 0x78730006;
inline constexpr std::uint32_t kDomainRecord = 0x78730007;
inline constexpr std::uint32_t kGapRecord = 0x78730008;
inline constexpr std::uint32_t kTreeRecord = 0x78730009;

} // namespace xsgit::server
