// SPDX-License-Identifier: MIT
// Who is connected: from the daemon's words to a session's.
#pragma once

#include "server/engine/state.hpp"
#include "xsgit/session/record.hpp"

namespace xsgit::record {

/// From the facts of a Connect event (xsgit/journal/event.hpp). What is missing there is not known.
session::Opened opened_by(const Event &connect);

/// One that was there before; the daemon does not keep users.
session::Opened opened_before(const server::State::Connection &c);

/// A ring that belongs to connection `conn` from now on.
session::Opened opened_ring(std::uint64_t conn, std::uint32_t domid);

} // namespace xsgit::record
