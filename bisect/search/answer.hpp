// SPDX-License-Identifier: MIT
// What a bisection found, for people and for programs.
#pragma once

#include "bisect/search/bisection.hpp"

#include <optional>
#include <string>

namespace xsgit::bisect {

/// What was asked of each commit.
struct Question {
    std::string text;         // the condition, or the command's words; printable. Empty: a log alone
    std::optional<bool> when; // of a condition: whether it holds where it is bad
};

/// Commit, time, domain, connection, operation, and the nodes that it changed, the first few of them; lines.
std::string answer_text(const inspect::RepositoryView &view, const Bisection::Found &found,
                        const Question &question, bool utc);
/// One line: {"suspects":[…],"good":{…},…}, commits as xs-log -o json prints them.
std::string answer_json(const inspect::RepositoryView &view, const Bisection::Found &found,
                        const Question &question);

} // namespace xsgit::bisect
