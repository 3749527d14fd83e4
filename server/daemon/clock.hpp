// SPDX-License-Identifier: MIT
// Monotonic time for waits and limits; what the fold sees comes from the store.
#pragma once

#include <cstdint>
#include <time.h>

namespace xsgit::server {

inline std::int64_t now_ms() noexcept
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

} // namespace xsgit::server
