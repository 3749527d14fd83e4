// SPDX-License-Identifier: MIT
// Nodes and changes as lines a person reads. Whatever the bytes are, what comes out is printable ASCII.
#pragma once

#include "inspect/tree_diff.hpp"

#include <map>
#include <string>
#include <string_view>

namespace xsgit::inspect {

/// What should be printable already (subjects of ours); escaped if somebody else wrote it.
std::string printable(const std::string &text);

/// /a/b = "value"   (n0,r5)
std::string node_line(std::string_view path, const NodeState &state);

/// The line of "xenstore-ls -f -p", byte by byte: its own escapes, no stale marks.
std::string ls_line(std::string_view path, const NodeState &state);

/// "- /a = "1"   (n0)\n+ /a = "2"   (n0)\n", every line behind `indent`.
std::string change_text(const NodeChange &change, std::string_view indent = {});

/// 'A' added, 'D' deleted, 'M' other value, 'P' other permissions only.
char change_letter(const NodeChange &change);

/// Counts for "--stat", by domain (/local/domain/5) or the first two components of the directory.
class ChangeStat {
public:
    void add(const NodeChange &change);
    /// " /local/domain/5 | 12 +3 -1 ~8" each, and a sum.
    std::string text() const;

private:
    struct Count {
        std::size_t added = 0, removed = 0, changed = 0;
    };
    std::map<std::string, Count> groups_;
};

} // namespace xsgit::inspect
