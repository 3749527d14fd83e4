// SPDX-License-Identifier: MIT
// The requests that read or change nodes, as functions of a tree. The same code serves
// a client directly, inside its transaction, and when a transaction is folded again.
#pragma once

#include "server/engine/wire.hpp"
#include "xsgit/base/perms.hpp"
#include "xsgit/base/result.hpp"
#include "xsgit/change.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xsgit::server {

/// What a request did beyond its reply: events, history and the comparison of
/// replays are made from this.
struct Effect {
    enum Kind : std::uint8_t { None, Written, Created, Removed, PermsSet };
    Kind kind = None;
    OpKind op = OpKind::Read; // what a person would call it
    Path path;                // the node named
    NodeRef before;           // Removed: the subtree that went; PermsSet: the node as it was
    NodeRef after;            // Created: the named node
};

/// Answers of SET_PERMS's look-ups: (domid, alive).
using Lookups = std::vector<std::pair<std::uint32_t, bool>>;
/// "5 1;7 0"; malformed parts are left out.
Lookups parse_lookups(std::string_view facts);

/// True for DIRECTORY, READ, GET_PERMS, WRITE, MKDIR, RM, SET_PERMS, DIRECTORY_PART: what a
/// transaction records.
bool is_store_request(std::uint32_t type) noexcept;

/// Executes a store request of `who` on `tree`, which it replaces if something changed. The
/// reply's payload is put into `reply` (cleared first). Errors leave tree and effect untouched,
/// but for effect.path and effect.op, which are set as soon as the path is known to be valid.
Result<void> execute_store(std::uint32_t type, std::string_view payload, const Subject &who,
                           const Lookups &lookups, Tree &tree, Effect &effect, std::string &reply);

/// One number for reply and effect together: two executions with the same answer mean the
/// same to the client. `payload` is ignored for errors.
std::uint64_t answer_hash(const Result<void> &result, std::string_view payload, const Effect &e) noexcept;

/// The request as an operation for history. Views borrow from `payload`, `effect` and `scratch`.
Operation operation_of(std::uint32_t type, std::string_view payload, const Effect &effect,
                       std::string &scratch);

} // namespace xsgit::server
