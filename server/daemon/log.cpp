// SPDX-License-Identifier: MIT
#include "server/daemon/log.hpp"

#include "server/daemon/clock.hpp"

#include <fmt/core.h>
#include <syslog.h>
#include <unistd.h>

namespace xsgit::server {

namespace {

constexpr unsigned kPerWindow = 10;
constexpr std::int64_t kWindowMs = 10'000;

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
    const int priority = level == Level::Error ? LOG_ERR : level == Level::Warning ? LOG_WARNING : LOG_NOTICE;
    // Opened for each message: a descriptor kept behind libc's back could be closed, and its number
    // given to a client, when keeper and server share their descriptors.
    openlog("xenstored", LOG_PID, LOG_DAEMON);
    syslog(priority, "%.*s", static_cast<int>(text.size()), text.data());
    closelog();
}

} // namespace xsgit::server
