// SPDX-License-Identifier: MIT
// Which commits a person wants to see.
#pragma once

#include "inspect/record.hpp"
#include "inspect/tree_reader.hpp"
#include "xsgit/base/path.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::inspect {

/// A POSIX extended regular expression. Upper and lower case differ only if the pattern has upper-case letters,
/// as in journalctl.
class Grep {
public:
    /// Throws ToolFailure (kUsage).
    explicit Grep(const std::string &pattern);
    bool matches(const std::string &text) const;

private:
    struct Compiled;
    std::shared_ptr<const Compiled> compiled_;
};

struct LogFilter {
    std::optional<std::int64_t> since_us, until_us;
    std::vector<std::uint32_t> domids; // empty: all
    std::vector<std::string> ops;      // lower case; empty: all
    std::optional<std::uint64_t> conn;
    std::optional<std::uint32_t> tx;
    std::optional<Grep> grep; // over the subject
    std::vector<Path> paths;  // nodes at or below one of them changed; empty: all
    bool errors = false;      // only what was refused

    /// Who and when: the same for a transaction and its steps.
    bool matches_actor(const LogRecord &r) const;
    /// What was done: a transaction is wanted for one of its steps, too.
    bool matches_operation(const LogRecord &r) const;
    bool wants_steps() const { return !ops.empty() || grep.has_value(); }
    /// `before`: the tree of the commit before.
    bool matches_paths(TreeReader &reader, const Oid &before, const Oid &after) const;
    /// False where the message alone says that matches_paths() would be: reads nothing.
    bool may_touch_paths(const LogRecord &r) const;
    /// By the path in the message: conflicts, and where the commit before is gone.
    bool matches_named_path(const LogRecord &r) const;
};

} // namespace xsgit::inspect
