// SPDX-License-Identifier: MIT
// What the fold tells history: one value per commit on main, one per conflict.
// Borrowed views are valid during the call that hands the value over.
#pragma once

#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

enum class OpKind : std::uint8_t {
    Start,
    Write,
    Mkdir,
    Rm,
    SetPerms,
    Commit,
    Read,
    Directory,
    GetPerms,
    Introduce, // of a domain; path: its home
    Release,   // asked for; path: the domain's home
    Death,     // found dead, by the daemon itself
};

/// The verb in a commit's subject: "write", "mkdir", "rm", "set-perms", …
std::string_view op_name(OpKind k) noexcept;

/// One operation as a person reads it. `value`: the bytes written, or the permission
/// list's text for SetPerms.
struct Operation {
    OpKind kind = OpKind::Start;
    std::string_view path;
    std::string_view value;
};

/// Who did it.
struct Actor {
    std::uint32_t domid = 0;
    std::uint64_t conn = 0; // incarnation; 0: the daemon itself
    std::string_view peer;  // "pid 123 xenstore-write" for sockets, may be empty
};

/// One step of a transaction, as a commit of the side branch.
struct TxStep {
    Operation op;
    Tree after;
};

/// A commit on main.
struct Change {
    std::uint64_t seq = 0; // from 1, no gaps
    std::int64_t wall_us = 0;
    Actor actor;
    Operation op;       // kind Commit for a transaction
    Tree before, after; // before is empty for seq 1
    // transactions only
    std::uint32_t tx = 0;
    std::uint64_t fork_seq = 0; // the side branch forks from this commit; steps start on its tree
    Tree fork;
    std::vector<TxStep> steps;
};

/// A transaction that was answered EAGAIN.
struct Conflict {
    struct Entry {
        Operation op;
        std::string_view reply; // "OK", an error name, or the bytes that were read
    };
    std::uint64_t number = 0; // from 1, no gaps
    std::int64_t wall_us = 0;
    Actor actor;
    std::uint32_t tx = 0;
    std::uint64_t base_seq = 0; // main when the transaction started
    std::uint64_t head_seq = 0; // main when it was refused
    std::vector<Entry> log;
    std::size_t differs = 0;         // index in log of the first request that would answer differently
    std::string_view reply_now;      // what it would answer (or the effect that differs)
    std::uint64_t culprit_seq = 0;   // newest commit that changed what it saw; 0: not known
    std::uint32_t culprit_domid = 0; // whose that was
};

/// History begins an epoch.
struct NewEpoch {
    std::uint32_t number = 0;
    bool ends_gap = false; // what follows describes where the fold stands; only needed then
    std::uint64_t seq = 0;
    std::uint64_t conflicts = 0;
    std::int64_t wall_us = 0;
};

/// Receiver of the fold's history. Only the committer's engine has one.
class ChangeSink {
public:
    virtual void on_change(const Change &c) = 0;
    virtual void on_conflict(const Conflict &c) = 0;
    /// From the next change on, objects of earlier ones may not be relied on.
    virtual void on_epoch(const NewEpoch &e, const Tree &head) = 0;

protected:
    ~ChangeSink() = default;
};

} // namespace xsgit
