// SPDX-License-Identifier: MIT
// The maintenance thread: merges packs and unlinks what is due, at low priority.
#pragma once

#include "xsgit/git/pack_store.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace xsgit::server {

class Maintenance {
public:
    /// `packs` outlives this; `report` is called from the thread.
    Maintenance(PackStore &packs, std::function<void(const std::string &)> report);
    /// Ends after the step at hand.
    ~Maintenance();

private:
    void run();
    PackStore &packs_;
    std::function<void(const std::string &)> report_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    std::thread thread_;
};

} // namespace xsgit::server
