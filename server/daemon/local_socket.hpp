// SPDX-License-Identifier: MIT
// Local sockets: listening, connecting, passing descriptors.
#pragma once

#include "server/daemon/unique_fd.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace xsgit::server {

/// Listens at `path` (mode 0600; `type` SOCK_STREAM or SOCK_SEQPACKET). A socket at which nobody answers is
/// replaced. Not CLOEXEC. Never waits. Throws std::runtime_error that says what to do.
UniqueFd listen_at(const std::string &path, int type, int backlog);
/// Connects; an invalid UniqueFd and errno on failure. `path` may be longer than a socket address allows.
UniqueFd connect_to(const std::string &path, int type);

/// One message with descriptors. False on failure or time-out.
bool send_message(int socket, const void *data, std::size_t size, const std::vector<int> &fds = {});
/// The next message: exactly `size` bytes. The descriptors that came with it are appended to `fds`. False:
/// closed, time-out, or another size.
bool receive_message(int socket, void *data, std::size_t size, std::vector<int> *fds = nullptr);
void set_timeout(int socket, int seconds);

} // namespace xsgit::server
