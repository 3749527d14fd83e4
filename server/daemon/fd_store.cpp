// SPDX-License-Identifier: MIT
#include "server/daemon/fd_store.hpp"

#include "server/daemon/notify.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/core.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

namespace xsgit::server {

namespace {

constexpr int kFirstFd = 3; // sd_listen_fds(3)

std::optional<int> number_in(const char *variable)
{
    const char *text = std::getenv(variable);
    int n = 0;
    const std::string_view all = text ? text : "";
    const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), n);
    if (error != std::errc() || end != all.data() + all.size() || n < 0)
        return std::nullopt;
    return n;
}

} // namespace

std::string stored_client(std::uint64_t conn) { return fmt::format("{}{}", kStoredClient, conn); }

bool FdStore::offered() noexcept
{
    return std::getenv("NOTIFY_SOCKET") && number_in("FDSTORE").value_or(0) > 0;
}

int FdStore::add(std::string_view name, int fd, bool until_hangup) noexcept
{
    return notify_service_manager(
        fmt::format("FDSTORE=1\nFDNAME={}\n{}", name, until_hangup ? "" : "FDPOLL=0\n"), fd);
}

int FdStore::remove(std::string_view name) noexcept
{
    if (name.find('\n') != name.npos) // not systemd's
        return EINVAL;
    return notify_service_manager(fmt::format("FDSTOREREMOVE=1\nFDNAME={}\n", name));
}

std::vector<StoredFd> take_stored_fds()
{
    std::vector<StoredFd> out;
    if (const auto count = number_in("LISTEN_FDS"); count && number_in("LISTEN_PID") == getpid()) {
        const char *text = std::getenv("LISTEN_FDNAMES");
        std::string_view names = text ? text : "";
        for (int fd = kFirstFd; fd - kFirstFd < *count; ++fd) {
            const std::size_t colon = names.find(':');
            if (fcntl(fd, F_GETFD) < 0)
                break; // all are open that are there: this is no number of descriptors
            out.push_back({std::string(names.substr(0, colon)), fd});
            names = colon == names.npos ? std::string_view() : names.substr(colon + 1);
        }
    }
    for (const char *variable : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"})
        unsetenv(variable);
    if (!out.empty())
        setenv("FDSTORE", "1", 0); // an older systemd does not say so
    return out;
}

void end_connection(int fd) noexcept
{
    (void)shutdown(fd, SHUT_RDWR);
    ::close(fd);
}

} // namespace xsgit::server
