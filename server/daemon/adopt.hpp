// SPDX-License-Identifier: MIT
// Descriptors of a daemon that is gone, which come back with the start.
#pragma once

#include "server/daemon/fd_store.hpp"
#include "server/daemon/log.hpp"
#include "server/daemon/slot_file.hpp"
#include "server/daemon/takeover.hpp"

#include <string>
#include <vector>

namespace xsgit::server {

/// Whether `fd` is a socket that listens at `path`, and is still to be found there.
bool listens_at(int fd, const std::string &path);

/// Puts `stored` where it belongs: the socket that listens at `socket_path` and the event channels into `own`, the
/// clients' into their slots (null: there are none). The rest is closed, and let go by the store. Only while no other
/// daemon has the slots.
void adopt(const std::vector<StoredFd> &stored, const std::string &socket_path, SlotFile *slots,
           Inheritance &own, Log &log);

/// The same where another daemon runs and has all that counts: connections that it does not know are ended, the rest is
/// closed here only.
void discard(const std::vector<StoredFd> &stored, const SlotFile *slots);

} // namespace xsgit::server
