// SPDX-License-Identifier: MIT
// The events of a daemon that no commit shows yet: folded here, as the daemon's own recovery does.
#pragma once

#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/repository.hpp"

#include <functional>
#include <optional>
#include <string>

namespace xsgit::inspect {

using Report = std::function<void(const std::string &)>;

/// Folds what follows the checkpoint in <git_dir>/xsgit/journal, makes the commits readable through `repo`, and
/// gives the ends of the branches; nullopt if there is no journal, nothing newer, or nothing that can be used: why, goes to
/// `report`. Writes nothing; safe beside a live daemon. Costs 1.5 us for each node and each event.
std::optional<Tips> read_tail(Repository &repo, const Report &report);

/// State::describe() of the state at the end of the journal. Throws ToolFailure if there is none.
std::string describe_state(const Repository &repo);

} // namespace xsgit::inspect
