// SPDX-License-Identifier: MIT
#include "server/daemon/peer.hpp"

#include "server/daemon/unique_fd.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>

namespace xsgit::server {

std::string program_name(pid_t pid)
{
    const UniqueFd fd(::open(fmt::format("/proc/{}/comm", pid).c_str(), O_RDONLY | O_CLOEXEC));
    char text[32];
    const ssize_t n = fd ? read(fd.get(), text, sizeof text) : -1;
    std::string name;
    for (ssize_t i = 0; i < n && text[i] != '\n'; ++i) {
        const char c = text[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '_' || c == '.' || c == ':' || c == '+' || c == '-';
        name += plain ? c : '?';
    }
    return name.empty() ? "?" : name;
}

Peer peer_of(int socket)
{
    ucred cred{};
    socklen_t size = sizeof cred;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
        return {0, static_cast<uid_t>(-1), "?"};
    return {cred.pid, cred.uid, program_name(cred.pid)};
}

} // namespace xsgit::server
