// SPDX-License-Identifier: MIT
#include "server/store/maintenance.hpp"

#include "server/store/named_thread.hpp"

#include <chrono>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace xsgit::server {

Maintenance::Maintenance(PackStore &packs, std::function<void(const std::string &)> report)
    : packs_(packs), report_(std::move(report)), thread_(start_thread("maintenance", [this] { run(); }))
{
}

Maintenance::~Maintenance()
{
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void Maintenance::run()
{
    // On Linux a thread's nice value is its own.
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 10);
    bool reported = false;
    for (;;) {
        bool more = false;
        try {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            more = packs_.maintain(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
            reported = false;
        } catch (const std::exception &e) {
            // Packs stay unmerged: slower to read, nothing else.
            if (!reported)
                report_(std::string("merging packs: ") + e.what());
            reported = true;
        }
        std::unique_lock lock(mutex_);
        if (!more)
            wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return stop_; });
        if (stop_)
            return;
    }
}

} // namespace xsgit::server
