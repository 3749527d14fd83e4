// SPDX-License-Identifier: MIT
// Commits of a repository as a session: history is a recording, too, of what changed the store.
#pragma once

#include "bisect/replay/script.hpp"
#include "inspect/view.hpp"

#include <string>
#include <string_view>

namespace xsgit::server {
class State;
}

namespace xsgit::replay {

/// More commits than this are refused.
inline constexpr std::size_t kHistoryMost = 1'000'000;

/// What was done after commit `from` up to commit `to`, which must be a descendant: the store at `from` is the starting state, and
/// each connection that changed something is a client; guests have rings. Reads and refused requests are not in history.
/// Throws inspect::ToolFailure, NotPlayable, GitError. About 10 us a commit, and the values it wrote.
Script history_script(const inspect::RepositoryView &view, const Oid &from, const Oid &to);

/// Where the engine's store is not that of the commit: the first line of each that differs; empty if it is. O(nodes).
std::string differing_node(const server::State &state, const inspect::RepositoryView &view,
                           const Oid &commit);

/// The first line of each of two state_text()s that differ in their nodes; where only something else differs, words that say so.
std::string differing_line(std::string_view wanted, std::string_view now);

} // namespace xsgit::replay
