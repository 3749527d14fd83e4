// SPDX-License-Identifier: MIT
// The write-rate limit (XSA-206): a guest that writes without end, while others have transactions open, may make these
// fail for ever. Each of its commits that could do so costs a credit; who has none left is not read for a while. The
// numbers are the C daemon's: 200 credits a second for all guests together, in equal shares; a guest keeps up to 10,
// and what a guest with 10 does not need goes into a reserve of up to 1,000, from which the others may borrow.
//
// It orders requests and changes no reply, so it is no part of the fold, and begins anew with each server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace xsgit::server {

class WriteLimiter {
public:
    static constexpr double kPerSecond = 200;    // credits for all guests
    static constexpr double kMost = 10;          // of one guest
    static constexpr double kMostReserve = 1000; // shared

    /// `domid` has committed something that can make another's transaction fail. `guests`: how many share the rate, at
    /// least 1. Times are monotonic, ms. O(guests with less than 10 credits), at most every 5 ms, else O(1).
    void charge(std::uint32_t domid, std::size_t guests, std::int64_t now_ms);
    /// Milliseconds until requests of `domid` may be served again; 0: now. O(1) for a guest with credit.
    std::int64_t wait_ms(std::uint32_t domid, std::size_t guests, std::int64_t now_ms);
    /// It is gone; a successor begins anew.
    void forget(std::uint32_t domid) { poor_.erase(domid); }

    /// For the trace and for tests.
    double credit(std::uint32_t domid) const;
    double reserve() const noexcept { return reserve_; }

private:
    void earn(std::size_t guests, std::int64_t now_ms);
    void borrow(double &credit);

    std::unordered_map<std::uint32_t, double> poor_; // who has less than kMost
    double reserve_ = kMostReserve;
    std::int64_t earned_ms_ = 0;
};

} // namespace xsgit::server
