// SPDX-License-Identifier: MIT
// A question about one state of the store: 'state = 4 and not (/local/domain/5/device)'.
#pragma once

#include "inspect/log_filter.hpp"
#include "inspect/tree_reader.hpp"
#include "xsgit/base/path.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::bisect {

/// A value; copying is cheap.
class Condition {
public:
    static Condition exists(Path path);
    static Condition value_is(Path path, std::string value);
    /// Throws inspect::ToolFailure (kUsage) for what is no regular expression.
    static Condition value_matches(Path path, const std::string &regex);
    /// `list` as "n0,r5". Marks of entries that have gone stale ("r5!") count only where `list` has some. Throws
    /// inspect::ToolFailure (kUsage) for what is no list.
    static Condition perms_are(Path path, const std::string &list);
    static Condition negation(Condition a);
    static Condition both(Condition a, Condition b);
    static Condition either(Condition a, Condition b);

    /// Whether it is so in the state whose tree is `root` (null: the empty store). Of a node that is not there, only
    /// negations hold. Reads the directories along the paths. Throws GitError.
    bool holds(inspect::TreeReader &reader, const Oid &root) const;

    /// As parse_condition() reads it, printable ASCII.
    const std::string &text() const noexcept { return text_; }

private:
    enum class Kind { Exists, Is, Matches, Perms, Not, And, Or };
    Condition(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
    static Condition of_node(Kind kind, Path path, std::string text);
    static Condition of_two(Kind kind, const char *word, Condition a, Condition b);
    std::string operand() const; // text, in parentheses if need be

    Kind kind_;
    std::string text_;
    Path path_;
    std::string wanted_;
    std::optional<inspect::Grep> regex_;
    std::vector<std::shared_ptr<const Condition>> parts_;
};

} // namespace xsgit::bisect
