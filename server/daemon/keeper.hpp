// SPDX-License-Identifier: MIT
// The process that only watches: it shares its descriptor table with the server, so that every
// socket outlives a killed server, and starts a new one at once.
#pragma once

#include "server/daemon/log.hpp"
#include "server/daemon/options.hpp"
#include "server/daemon/server.hpp"
#include "server/daemon/takeover.hpp"
#include "server/daemon/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace xsgit::server {

class Keeper {
public:
    /// `launcher`: see Birth; nullopt when the daemon is up already, and only the keeper is new.
    Keeper(const Options &options, const std::vector<std::string> &args, Inheritance own,
           std::optional<int> launcher, Log &log);
    ~Keeper();
    Keeper(const Keeper &) = delete;
    Keeper &operator=(const Keeper &) = delete;

    /// Until the daemon has ended; gives the exit status. Throws std::system_error.
    int run();

private:
    void start_server();
    void clear_table();
    void signalled();
    std::optional<int> reap();
    std::optional<int> server_ended(int status);
    void controlled();
    std::optional<int> hand_over_to(UniqueFd newcomer);
    void keep_reserve();
    void stop_server();
    int stopped();
    bool was_ready() const noexcept { return shared_->ready != 0; }
    void clean_up() const;
    int timeout() const;

    const Options &options_;
    const std::vector<std::string> &args_;
    Inheritance own_;
    int launcher_; // -1 once the server was ready
    Log &log_;
    Shared *shared_;
    UniqueFd signal_fd_;
    UniqueFd stop_asker_; // a client of Stop waits for the answer
    UniqueFd newcomer_;   // wants to take over
    UniqueFd reserve_;    // see keep_reserve()
    std::vector<int> orphans_;
    pid_t server_ = 0;
    bool stopping_ = false;
    unsigned blame_ = 0;
    int quick_deaths_ = 0;
    std::int64_t started_ms_ = 0, start_again_ms_ = 0; // the latter while no server runs
};

} // namespace xsgit::server
