// SPDX-License-Identifier: MIT
// How long somebody has lately held others up by not taking what they have caused. Short pauses add up: who reads
// just often enough would else slow others down for as long as it likes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace xsgit::server {

class HeldUp {
public:
    static constexpr std::int64_t kPauseMs = 5;       // shorter ones are what reading takes
    static constexpr std::int64_t kForgetMs = 60'000; // after so long, a whole patience is forgotten

    /// Something waits from now on; nothing did before. Times are monotonic, ms.
    void begin(std::int64_t now_ms) noexcept { last_ms_ = now_ms; }
    /// It took some of it.
    void took(std::int64_t now_ms, std::int64_t patience_ms) noexcept
    {
        forget(now_ms, patience_ms);
        if (now_ms - last_ms_ > kPauseMs)
            held_ms_ += static_cast<double>(now_ms - last_ms_);
        last_ms_ = now_ms;
    }
    /// Whether that is more than `patience_ms`, all in all.
    bool too_long(std::int64_t now_ms, std::int64_t patience_ms) noexcept
    {
        forget(now_ms, patience_ms);
        return held_ms_ + static_cast<double>(now_ms - last_ms_) > static_cast<double>(patience_ms);
    }

private:
    void forget(std::int64_t now_ms, std::int64_t patience_ms) noexcept
    {
        const double part = static_cast<double>(now_ms - at_ms_) / kForgetMs;
        held_ms_ = std::max(0.0, held_ms_ - part * static_cast<double>(patience_ms));
        at_ms_ = now_ms;
    }
    std::int64_t last_ms_ = 0, at_ms_ = 0;
    double held_ms_ = 0;
};

} // namespace xsgit::server
