// SPDX-License-Identifier: MIT
#include "server/daemon/notify.hpp"

#include "server/daemon/unique_fd.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace xsgit::server {

int notify_service_manager(std::string_view state, int fd) noexcept
{
    const char *path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un to{};
    const std::size_t length = path ? std::strlen(path) : 0;
    if (length == 0 || length >= sizeof to.sun_path)
        return 0;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path, length);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; // abstract
    iovec text{const_cast<char *>(state.data()), state.size()};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd)] = {};
    msghdr m{};
    m.msg_name = &to;
    m.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    m.msg_iov = &text;
    m.msg_iovlen = 1;
    if (fd >= 0) {
        m.msg_control = space;
        m.msg_controllen = sizeof space;
        cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    const UniqueFd out(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return sendmsg(out.get(), &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

} // namespace xsgit::server
