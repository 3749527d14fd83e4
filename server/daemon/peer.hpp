// SPDX-License-Identifier: MIT
// Who is at the other end of a local socket.
#pragma once

#include <string>
#include <sys/types.h>

namespace xsgit::server {

struct Peer {
    pid_t pid = 0;
    uid_t uid = static_cast<uid_t>(-1);
    std::string comm; // name of the program; only [A-Za-z0-9_.:+-], "?" for the rest
};
Peer peer_of(int socket);
/// In the same form; "?": no such process.
std::string program_name(pid_t pid);

} // namespace xsgit::server
