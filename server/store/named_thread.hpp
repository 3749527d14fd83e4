// SPDX-License-Identifier: MIT
// Starting a thread that ps -L shows by name.
#pragma once

#include <fmt/core.h>
#include <pthread.h>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace xsgit::server {

/// `name`: at most 15 bytes. Throws std::runtime_error that says what to do.
template <typename Run>
std::thread start_thread(const char *name, Run run)
try {
    return std::thread([name, run = std::move(run)] {
        ::pthread_setname_np(::pthread_self(), name);
        run();
    });
} catch (const std::system_error &e) {
    throw std::runtime_error(fmt::format("cannot start the thread \"{}\": {}; raise the limit of processes "
                                         "(TasksMax= of the service, ulimit -u)",
                                         name, e.code().message()));
}

} // namespace xsgit::server
