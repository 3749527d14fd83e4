// SPDX-License-Identifier: MIT
// The process that does everything, a child of the keeper.
#pragma once

#include "server/daemon/log.hpp"
#include "server/daemon/options.hpp"
#include "server/daemon/takeover.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace xsgit::server {

/// How the server ended, as exit status. Everything else is a death.
inline constexpr int kExitStopped = 0;
inline constexpr int kExitFailed = 1;     // with a message
inline constexpr int kExitSuperseded = 2; // another daemon writes the journal

/// In memory that keeper and server share.
struct Shared {
    std::atomic<std::uint32_t> ready{0};    // a server has been ready since the keeper started
    std::atomic<int> events{-1};            // Inheritance::events, which only the server can open
    std::atomic<bool> listen_stored{false}; // the service manager has the listening socket, too
};

struct Birth {
    const Options &options;
    const std::vector<std::string> &args; // of the program, for becoming the keeper
    Inheritance own;
    std::vector<int> orphans; // accepted sockets without a slot
    unsigned blame = 0;       // see Loop::Parts
    pid_t keeper = 0;
    int launcher = -1; // waits for the first server to be ready, see daemonize(); -1: nobody
    Shared *shared = nullptr;
    Log *log = nullptr;
};

/// Recovers, serves, and returns the exit status; or replaces the process when the keeper has died.
int run_server(const Birth &birth) noexcept;

} // namespace xsgit::server
