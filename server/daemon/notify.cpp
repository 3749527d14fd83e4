// SPDX-License-Identifier: MIT
#include "server/daemon/notify.hpp"

#include "server/daemon/unique_fd.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace xsgit::server {

void notify_service_manager(std::string_view state) noexcept
{
    const char *path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un to{};
    const std::size_t length = path ? std::strlen(path) : 0;
    if (length == 0 || length >= sizeof to.sun_path)
        return;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path, length);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; // abstract
    const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    (void)sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr *>(&to),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

} // namespace xsgit::server
