// SPDX-License-Identifier: MIT
// The requests that read or change nodes, as functions of a tree. The same code serves
// a client directly, inside its transaction, and when a transaction is folded again.
#pragma once

#include "server/engine/accounts.hpp"
#include "server/engine/facts.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/base/perms.hpp"
#include "xsgit/base/result.hpp"
#include "xsgit/change.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xsgit::server {

/// What a request did beyond its reply: events, history and the comparison of
/// replays are made from this.
struct Effect {
    enum Kind : std::uint8_t { None, Written, Created, Removed, PermsSet };
    Kind kind = None;
    OpKind op = OpKind::Read;        // what a person would call it
    Path path;                       // the node named
    NodeRef before;                  // Removed: the subtree that went; PermsSet: the node as it was
    NodeRef after;                   // Created: the named node
    Charges charges;                 // who owns more, or less
    std::optional<Quota> refused;    // the limit that an ENOSPC or ENOMEM comes from
    std::optional<FixedLimit> limit; // or that nobody can change
};

/// Who asks, and what binds them.
struct Asker {
    Subject who;
    bool domid_any = true;          // may permit something to every domain
    const Quotas *quotas = nullptr; // null: none
    Peaks *peaks =
        nullptr;   // of what single nodes and transactions have, also where it was refused; null: nobody asks
    Account owned; // by `who`, in the tree that the request is executed on
    std::int64_t memory = 0; // bytes that count against Quota::Memory beside nodes
};

/// True for DIRECTORY, READ, GET_PERMS, WRITE, MKDIR, RM, SET_PERMS, DIRECTORY_PART: what a
/// transaction records.
bool is_store_request(std::uint32_t type) noexcept;

/// Executes a store request of `who` on `tree`, which it replaces if something changed. The
/// reply's payload is put into `reply` (cleared first). Errors leave tree and effect untouched,
/// but for effect.path and effect.op, which are set as soon as the path is known to be valid, effect.refused and
/// effect.limit.
Result<void> execute_store(std::uint32_t type, std::string_view payload, const Asker &asker,
                           const Facts &facts, Tree &tree, Effect &effect, std::string &reply);

/// Whether the limit on paths forbids this one to `asker`; /local/domain/N/ in front does not count.
bool path_too_long(const Path &path, const Asker &asker);

/// One number for reply and effect together: two executions with the same answer mean the
/// same to the client. `payload` is ignored for errors.
std::uint64_t answer_hash(const Result<void> &result, std::string_view payload, const Effect &e) noexcept;

/// The request as an operation for history. Views borrow from `payload`, `effect` and `scratch`.
Operation operation_of(std::uint32_t type, std::string_view payload, const Effect &effect,
                       std::string &scratch);

} // namespace xsgit::server
