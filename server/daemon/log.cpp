// SPDX-License-Identifier: MIT
#include "server/daemon/log.hpp"

#include "server/daemon/clock.hpp"
#include "server/daemon/unique_fd.hpp"

#include <cstring>
#include <ctime>
#include <fmt/core.h>
#include <paths.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

namespace xsgit::server {

namespace {

constexpr unsigned kPerWindow = 10;
constexpr std::int64_t kWindowMs = 10'000;

/// One datagram that never waits: syslog() blocks with a stuck log daemon. Nor is a descriptor kept behind our back:
/// keeper and server share theirs, so its number could be given to a client.
void to_syslog(int priority, std::string_view text) noexcept
{
    const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strcpy(to.sun_path, _PATH_LOG);
    char stamp[32] = "";
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    if (localtime_r(&now, &local))
        (void)std::strftime(stamp, sizeof stamp, "%b %e %T", &local);
    const std::string line =
        fmt::format("<{}>{} xenstored[{}]: {}", LOG_DAEMON | priority, stamp, getpid(), text);
    (void)sendto(fd.get(), line.data(), line.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr *>(&to),
                 sizeof to);
}

} // namespace

void Log::write(Level level, std::string_view kind, std::string_view text)
{
    const std::lock_guard lock(mutex_);
    auto it = windows_.find(kind);
    if (it == windows_.end())
        it = windows_.emplace(std::string(kind), Window{now_ms(), 0, 0}).first;
    Window &w = it->second;
    if (const std::int64_t now = now_ms(); now - w.began >= kWindowMs) {
        if (w.suppressed > 0)
            put(level, fmt::format("{}: {} more messages like this were not written", kind, w.suppressed));
        w = {now, 0, 0};
    }
    if (w.written == kPerWindow) {
        ++w.suppressed;
        return;
    }
    ++w.written;
    put(level, text);
}

void Log::put(Level level, std::string_view text) const
{
    if (target_ == Target::Stderr) {
        const std::string line = fmt::format("xenstored: {}\n", text);
        (void)!::write(STDERR_FILENO, line.data(), line.size());
        return;
    }
    to_syslog(level == Level::Error ? LOG_ERR : level == Level::Warning ? LOG_WARNING : LOG_NOTICE, text);
}

} // namespace xsgit::server
