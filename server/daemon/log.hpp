// SPDX-License-Identifier: MIT
// The daemon's messages: to standard error in the foreground, else to syslog. A kind of message
// that comes too often is counted instead of written. Text of guests goes through escape() first.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace xsgit::server {

class Log {
public:
    enum class Target { Stderr, Syslog };
    enum class Level { Error, Warning, Notice };
    explicit Log(Target target) noexcept : target_(target) {}
    /// From any thread.
    void set_target(Target target) noexcept { target_.store(target); }

    /// `kind` names the sort of message for the rate limit: ten in ten seconds each.
    /// May be called from any thread.
    void write(Level level, std::string_view kind, std::string_view text);
    void error(std::string_view kind, std::string_view text) { write(Level::Error, kind, text); }
    void warning(std::string_view kind, std::string_view text) { write(Level::Warning, kind, text); }
    void notice(std::string_view kind, std::string_view text) { write(Level::Notice, kind, text); }

private:
    struct Window {
        std::int64_t began = 0; // monotonic milliseconds
        unsigned written = 0, suppressed = 0;
    };
    void put(Level level, std::string_view text) const;

    std::atomic<Target> target_;
    std::mutex mutex_;
    std::map<std::string, Window, std::less<>> windows_;
};

} // namespace xsgit::server
