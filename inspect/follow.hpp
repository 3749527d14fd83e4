// SPDX-License-Identifier: MIT
// xs-log -f: prints what is committed while it is committed.
#pragma once

#include "inspect/log_walk.hpp"
#include "inspect/tool.hpp"

#include <functional>

namespace xsgit::inspect {

/// Goes on behind options.after_seq and options.after_conflict until the reader of standard output is gone. Prints
/// each commit once, oldest first, also when older history is dropped meanwhile, or the daemon begins a new store.
void follow(Tool &tool, std::unique_ptr<RepositoryView> view, LogOptions options,
            const std::function<void(const RepositoryView &, TreeReader &, const LogEntry &)> &show);

} // namespace xsgit::inspect
