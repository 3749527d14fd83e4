// SPDX-License-Identifier: MIT
// What the %perms of one tree object says, and the counting behind it. Grammar: tree_encoder.hpp.
#pragma once

#include "xsgit/base/perms.hpp"
#include "xsgit/base/ref.hpp"
#include "xsgit/git/oid.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xsgit {

class Node;

/// How many leaves have which list. Few lists are distinct, so a vector is enough.
class PermCounts {
public:
    void add(const PermsRef &perms);
    /// Precondition: it was added.
    void remove(const PermsRef &perms);
    /// Number of distinct lists.
    std::size_t distinct() const noexcept { return counts_.size(); }
    /// The list that most leaves have (ties: the text that sorts first); null without leaves.
    const PermList *most() const noexcept;

private:
    struct Count {
        PermsRef perms;
        std::uint32_t leaves;
    };
    std::vector<Count> counts_;
};

/// Immutable; shared by all versions of a tree object between which no leaf came, went or changed its list.
class LeafPerms final : public RefCounted<LeafPerms> {
public:
    LeafPerms(PermCounts c, std::string t, const Oid &id) : counts(std::move(c)), text(std::move(t)), oid(id)
    {
    }
    static void destroy(const LeafPerms *p) noexcept { delete p; }

    const PermCounts counts;
    const std::string text; // of %perms; empty: there is no such entry
    const Oid oid;          // of the blob `text`

private:
    ~LeafPerms() = default;
};

/// The text of a %perms. `own`: list of the node; `bucket`: without the node's own line.
/// `leaves`: those that `counts` counts, in order of name; needed only if they differ.
std::string perms_text(const PermList &own, bool bucket, const PermCounts &counts,
                       const std::vector<const Node *> &leaves);

/// A %perms read back.
struct ParsedPerms {
    PermsRef own;                                         // null in a bucket
    PermsRef most;                                        // "*"; null if left out
    std::vector<std::pair<std::string, PermsRef>> leaves; // sorted by name
    /// List of the leaf `name`; `node_own` is the list of the node.
    const PermsRef &of(std::string_view name, const PermsRef &node_own) const noexcept;
};

/// False if `text` does not follow the grammar.
bool parse_perms_text(std::string_view text, bool bucket, ParsedPerms &out);

} // namespace xsgit
