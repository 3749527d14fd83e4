// SPDX-License-Identifier: MIT
// The repository when nobody names one: where the daemon puts it.
#pragma once

#include <string>

namespace xsgit::inspect {

/// /run/xsgit/store.git; for an ordinary user, theirs if it is there, else the host's.
std::string default_repository();

/// `named` (an option's value) if it is not empty, else XS_REPO, else the default.
std::string chosen_repository(const std::string &named);

} // namespace xsgit::inspect
