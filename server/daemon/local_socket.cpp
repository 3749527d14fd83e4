// SPDX-License-Identifier: MIT
#include "server/daemon/local_socket.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>

namespace xsgit::server {

namespace {

constexpr std::size_t kFdsMax = 253; // SCM_MAX_FD

/// An address for `path`, through its directory's descriptor when it is too long.
struct Address {
    explicit Address(const std::string &path)
    {
        std::string name = path;
        if (name.size() >= sizeof un.sun_path) {
            const std::size_t slash = path.rfind('/');
            dir = UniqueFd(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
            name = fmt::format("/proc/self/fd/{}/{}", dir.get(), path.substr(slash + 1));
        }
        un.sun_family = AF_UNIX;
        fits = name.size() < sizeof un.sun_path;
        if (fits)
            std::memcpy(un.sun_path, name.data(), name.size());
    }
    const sockaddr *get() const { return reinterpret_cast<const sockaddr *>(&un); }

    sockaddr_un un{};
    bool fits = false; // if not, it must not be used: it would be one without a name, and without permissions
    UniqueFd dir;
};

[[noreturn]] void cannot(const std::string &path, const std::string &why)
{
    throw std::runtime_error(fmt::format("cannot listen at {}: {}", path, why));
}

void make_way(const std::string &path, int type)
{
    struct stat st {};
    if (lstat(path.c_str(), &st) != 0)
        return;
    if (!S_ISSOCK(st.st_mode))
        cannot(path, "there is something else; remove it or choose another path");
    if (connect_to(path, type | SOCK_NONBLOCK))
        cannot(path, "another daemon answers there; stop it or choose another path");
    if (errno == EAGAIN) // its backlog is full: it may never take what waits there
        cannot(path, "another daemon is there and does not answer now; stop it or choose another path");
    if (errno != ECONNREFUSED && errno != EPROTOTYPE)
        cannot(path, std::generic_category().message(errno));
    if (unlink(path.c_str()) != 0)
        cannot(path, "the stale socket there cannot be removed: " + std::generic_category().message(errno));
}

} // namespace

UniqueFd connect_to(const std::string &path, int type)
{
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const Address address(path);
    if (!address.fits) {
        fd.reset();
        errno = ENAMETOOLONG;
    }
    if (fd && connect(fd.get(), address.get(), sizeof address.un) != 0) {
        const int error = errno;
        fd.reset();
        errno = error;
    }
    return fd;
}

UniqueFd listen_at(const std::string &path, int type, int backlog)
{
    make_way(path, type);
    UniqueFd fd(socket(AF_UNIX, type | SOCK_NONBLOCK, 0));
    const Address address(path);
    if (!address.fits)
        cannot(path, "its name is too long for a socket; choose a shorter one");
    const mode_t before = umask(0177);
    const int bound = fd ? bind(fd.get(), address.get(), sizeof address.un) : -1;
    const int error = errno;
    umask(before);
    if (bound != 0)
        cannot(path, std::generic_category().message(error));
    if (listen(fd.get(), backlog) != 0)
        cannot(path, std::generic_category().message(errno));
    return fd;
}

bool send_message(int socket, const void *data, std::size_t size, const std::vector<int> &fds)
{
    alignas(cmsghdr) char space[CMSG_SPACE(kFdsMax * sizeof(int))] = {};
    iovec iov{const_cast<void *>(data), size};
    msghdr m{};
    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    if (!fds.empty()) {
        m.msg_control = space;
        m.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(socket, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == static_cast<ssize_t>(size);
}

bool receive_message(int socket, void *data, std::size_t size, std::vector<int> *fds)
{
    alignas(cmsghdr) char space[CMSG_SPACE(kFdsMax * sizeof(int))] = {};
    iovec iov{data, size};
    msghdr m{};
    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    if (fds) {
        m.msg_control = space;
        m.msg_controllen = sizeof space;
    }
    ssize_t n;
    do
        n = recvmsg(socket, &m, 0);
    while (n < 0 && errno == EINTR);
    if (fds && n >= 0)
        for (cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                continue;
            const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), old = fds->size();
            fds->resize(old + count);
            std::memcpy(fds->data() + old, CMSG_DATA(c), count * sizeof(int));
        }
    return n == static_cast<ssize_t>(size) && !(m.msg_flags & MSG_CTRUNC);
}

void set_timeout(int socket, int seconds)
{
    const timeval t{seconds, 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

} // namespace xsgit::server
