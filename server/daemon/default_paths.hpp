// SPDX-License-Identifier: MIT
// Where things are when nobody says.
#pragma once

#include <string>

namespace xsgit::server {

/// /run/xsgit/store.git; for an ordinary user below $XDG_RUNTIME_DIR, else in a folder of their own in /dev/shm.
std::string default_repository();
/// XENSTORED_PATH, else XENSTORED_RUNDIR/socket, else /run/xenstored/socket.
std::string default_socket();
/// `path`, from the root; not resolved.
std::string absolute_path(const std::string &path);

/// Makes the directory (and those above it, 0755) with `mode` if it is missing. Throws
/// std::runtime_error with advice; also when `private_to_us` and it belongs to somebody else.
void make_directory(const std::string &path, unsigned mode, bool private_to_us);

/// Whether files there live in memory.
bool on_tmpfs(const std::string &path);

} // namespace xsgit::server
