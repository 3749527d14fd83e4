// SPDX-License-Identifier: MIT
#include "server/daemon/adopt.hpp"

#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace xsgit::server {

namespace {

std::string bound_path(int fd)
{
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0 ||
        address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path))
        return {};
    const std::string_view path(address.sun_path, size - offsetof(sockaddr_un, sun_path));
    return std::string(path.substr(0, path.find('\0')));
}

bool is_listening(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

/// Slots by the socket's cookie. A cookie that two have is nobody's: before Linux 5.10 each network namespace counted
/// for itself.
std::map<std::uint64_t, std::optional<std::uint32_t>> by_cookie(const SlotFile &slots)
{
    std::map<std::uint64_t, std::optional<std::uint32_t>> out;
    for (const std::uint32_t index : slots.used())
        if (const SlotEntry &e = slots.entry(index); e.fd != kNoFd && e.cookie != 0) {
            const auto [it, first] = out.emplace(e.cookie, index);
            if (!first)
                it->second.reset();
        }
    return out;
}

} // namespace

bool listens_at(int fd, const std::string &path)
{
    struct stat st {};
    return is_listening(fd) && bound_path(fd) == path && stat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode);
}

void adopt(const std::vector<StoredFd> &stored, const std::string &socket_path, SlotFile *slots,
           Inheritance &own, Log &log)
{
    const auto known = slots ? by_cookie(*slots) : decltype(by_cookie(*slots))();
    std::map<std::uint32_t, std::string> adopted;
    std::set<std::string> useless;
    for (const auto &[name, fd] : stored) {
        const auto slot = known.find(socket_cookie(fd));
        if (name == kStoredListen && own.listen < 0 && listens_at(fd, socket_path)) {
            own.listen = fd;
            own.listen_stored = true;
        } else if (name == kStoredEvents && own.events < 0) {
            own.events = fd;
        } else if (slot == known.end() || !slot->second) {
            useless.insert(name);
            if (name.starts_with(kStoredClient))
                end_connection(fd);
            else
                ::close(fd);
        } else if (adopted.emplace(*slot->second, name).second) {
            slots->set_fd(*slot->second, fd);
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        } else {
            ::close(fd); // the same one twice
        }
    }
    for (const auto &[index, name] : adopted) // what is let go by its name is to be stored again
        slots->memory(index).stored = !useless.contains(name);
    for (const std::string &name : useless)
        FdStore::remove(name);
    if (!stored.empty())
        log.notice("stored",
                   fmt::format("the service manager has kept {} connections, which go on", adopted.size()));
}

void discard(const std::vector<StoredFd> &stored, const SlotFile *slots)
{
    const auto known = slots ? by_cookie(*slots) : decltype(by_cookie(*slots))();
    for (const auto &[name, fd] : stored) {
        if (known.contains(socket_cookie(fd))) {
            ::close(fd);
            continue;
        }
        FdStore::remove(name); // the running daemon's are stored once this one serves
        if (name.starts_with(kStoredClient))
            end_connection(fd);
        else
            ::close(fd);
    }
}

} // namespace xsgit::server
