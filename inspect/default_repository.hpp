// SPDX-License-Identifier: MIT
// The repository when nobody names one: where the daemon puts it.
#pragma once

#include <string>

namespace xsgit::inspect {

/// /run/xsgit/store.git; for an ordinary user, theirs if it is there, else the host's.
std::string default_repository();

} // namespace xsgit::inspect
