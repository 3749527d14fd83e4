// SPDX-License-Identifier: MIT
// A look at the store that a replay has led to, with xenstore's own tools.
#pragma once

#include "server/engine/state.hpp"

#include <string>
#include <vector>

namespace xsgit::replay {

/// Runs a command that sees the nodes of `state` as its xenstored has them, read-only, and gives its exit status. No words:
/// $SHELL, else /bin/sh. Throws inspect::ToolFailure if it cannot be started.
int run_on_state(const server::State &state, std::vector<std::string> words);

} // namespace xsgit::replay
