// SPDX-License-Identifier: MIT
// Time that only goes forward, from an arbitrary begin; the same for all processes of a boot.
#pragma once

#include <chrono>
#include <cstdint>

namespace xsgit {

/// Microseconds. No system call.
inline std::int64_t monotonic_us() noexcept
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace xsgit
