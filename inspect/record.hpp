// SPDX-License-Identifier: MIT
// One line of history as values: what a commit's author, message and trailers say.
#pragma once

#include "xsgit/git/walk.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace xsgit::inspect {

struct LogRecord {
    enum class Kind { Commit, Step, Conflict };
    Kind kind = Kind::Commit;
    Oid id, tree;
    std::uint64_t seq = 0;      // of a conflict: of main when it was refused
    std::uint32_t step = 0;     // k of N.k
    std::uint64_t conflict = 0; // number of a conflict
    std::int64_t time_us = 0;
    std::optional<std::uint32_t> domid; // nullopt: not a commit of ours
    std::optional<std::uint64_t> conn;
    std::string peer; // "pid 4242 xenstore-write"
    std::optional<std::uint32_t> tx;
    bool transaction = false; // a merge, with steps

    std::string subject;              // first line of the message
    std::string op;                   // "write"; of a conflict "commit"; empty if the message is not ours
    std::string path;                 // empty if the operation has none
    std::optional<std::string> value; // as in the subject: escaped, cut, perhaps in quotes
    std::string detail;               // what else the subject says: "6 operations", the reason of a conflict

    /// The value itself, if the subject has it whole and unescaped.
    std::optional<std::string> whole_value() const;

    // of a conflict
    std::uint64_t culprit_seq = 0;
    std::optional<Oid> culprit;
    std::optional<std::uint32_t> culprit_domid;
};

/// `repo` is asked for who made a conflict's culprit.
LogRecord make_record(const Repository &repo, const WalkedCommit &c);

/// "/a/b" of "write /a/b = x"; empty if there is none.
std::string path_in_operation(const std::string &text);

} // namespace xsgit::inspect
