// SPDX-License-Identifier: MIT
// Commits of ours, as text.
//
//   main, one operation      "write /local/domain/5/name = vm5"
//   side branch              the same, Seq: N.k
//   merge (transaction)      "commit 6 operations" + one line per operation in the body (the first 50)
//   conflict                 "conflict: read /a = 1, would now be 2"
// Values are escaped, cut at 40 bytes. Author: "dom<domid> <<domid>@xen>", committer "xenstored <xs@xen>",
// both with the event's wall time, +0000. Trailers, in this order, those that apply:
//   Seq: 12345 | 12345.2
//   Conn: 17 (pid 4242 xenstore-write)
//   Tx: 3
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

/// "write /a/b = \"v\"": one line, escaped, whatever the bytes are.
std::string subject_of(const Operation &op);

/// A whole commit object (without git's header).
std::string commit_object(const Oid &tree, const std::vector<Oid> &parents, std::uint32_t domid,
                          std::int64_t wall_us, std::string_view message);

/// Reads the trailers of a message of ours back; what is missing stays empty.
struct Trailers {
    std::uint64_t seq = 0;
    std::uint32_t step = 0; // k of N.k; 0 on main
    std::string conn;       // "17 (pid 4242 xenstore-write)"
    std::optional<std::uint32_t> tx;
    std::int64_t time_us = 0;
    std::uint64_t conflict_number = 0, culprit_seq = 0;
};
Trailers parse_trailers(std::string_view message);

} // namespace xsgit
