// SPDX-License-Identifier: MIT
// Commits of ours, as text.
//
//   main, one operation      "write /local/domain/5/name = vm5"
//   side branch              the same, Seq: N.k
//   merge (transaction)      "commit 6 operations" + one line per operation in the body (the first 50)
//   conflict                 "conflict: read /a = 1, would now be 2"
//   gap                      "gap: 12 operations"; history could not be written for a while, and one commit has to do
// Values are escaped, cut at 40 bytes, in quotes if they are empty or have a space or a quote at an end. Paths are
// never cut. Author: "dom<domid> <<domid>@xen>", committer "xenstored <xs@xen>",
// both with the event's wall time, +0000. Trailers, in this order, those that apply:
//   Seq: 12345 | 12345.2
//   Conn: 17 (pid 4242 xenstore-write)
//   Tx: 3
//   Gap: 12334                      of a gap: the first of the commits it stands for; Seq has the last
//   Time: 1700000000123456          microseconds since 1970
// on the conflicts branch: Number:, Conn:, Tx:, Base-Seq:, Head-Seq:, Culprit-Seq:, Culprit: (commit id), Time:
#pragma once

#include "xsgit/change.hpp"
#include "xsgit/git/oid.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

/// "write /a/b = v": one line, escaped, whatever the bytes are.
std::string subject_of(const Operation &op);

/// Message of the commit on main.
std::string main_message(const Change &c);
/// Message of step `k` (from 1) of a transaction, on its side branch; of the last one of `held` steps that share a commit.
std::string step_message(const Change &c, std::size_t k, std::size_t held = 1);
/// Message of a commit on the conflicts branch. `culprit`: commit id of c.culprit_seq, if known.
std::string conflict_message(const Conflict &c, const std::optional<Oid> &culprit);

/// Message of the commit on main that stands for those from `first` to `last`.
std::string gap_message(std::uint64_t first, std::uint64_t last, std::int64_t wall_us);

/// The files of a conflict's commit. `log`: a line for each request and its reply, the one that would be answered
/// differently marked with "> " and followed by both answers. `summary`: who, when, why, in words. Long
/// values are cut at 256 bytes, of a long log the middle is left out.
std::string conflict_log(const Conflict &c);
std::string conflict_summary(const Conflict &c, const std::optional<Oid> &culprit);

/// A whole commit object (without git's header).
std::string commit_object(const Oid &tree, const std::vector<Oid> &parents, std::uint32_t domid,
                          std::int64_t wall_us, std::string_view message);

/// Reads the trailers of a message of ours back; what is missing stays empty.
struct Trailers {
    std::uint64_t seq = 0;
    std::uint32_t step = 0; // k of N.k; 0 on main
    std::string conn;       // "17 (pid 4242 xenstore-write)"
    std::optional<std::uint32_t> tx;
    std::uint64_t gap = 0; // seq of the first commit that it stands for
    std::int64_t time_us = 0;
    // of a conflict
    std::uint64_t conflict_number = 0, base_seq = 0, head_seq = 0, culprit_seq = 0;
    std::optional<Oid> culprit;
};
Trailers parse_trailers(std::string_view message);

} // namespace xsgit
