// SPDX-License-Identifier: MIT
// How often the thread that writes history has brought the daemon down: a file, <repository>/xsgit/faults, written by
// the handler of the deadly signal, and read by the next daemon. A kill from outside is no fault.
#pragma once

#include <cstdint>
#include <string>

namespace xsgit::server {

class FaultMark {
public:
    /// Maps `path`, which is made if absent; what is damaged says nothing. Where that is impossible, nothing is marked.
    explicit FaultMark(const std::string &path) noexcept;
    ~FaultMark();
    FaultMark(const FaultMark &) = delete;
    FaultMark &operator=(const FaultMark &) = delete;

    /// Faults since the last progress().
    std::uint32_t faults() const noexcept;
    /// Signal of the last one; 0: none.
    int signal() const noexcept;
    /// Something was written: what made it fail is behind it.
    void progress() noexcept;

    /// Deadly signals of the calling thread count from now on until end_watch(), for at most one thread of the process.
    /// The handlers that were there come after ours.
    void watch_this_thread() noexcept;
    void end_watch() noexcept;

private:
    struct Page;
    Page *page_ = nullptr;
    void *stack_ = nullptr; // for handlers: the thread's own may be full
};

} // namespace xsgit::server
