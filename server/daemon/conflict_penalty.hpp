// SPDX-License-Identifier: MIT
// Guests whose many commits make transactions of the control domain fail. The write-rate limit alone does not help a transaction that
// takes longer than the guest's next credit: here, who is found guilty again and again is left unserved for a while
// each time, and the longer the more often, so that a transaction of almost a second gets through at last.
//
// It orders requests and changes no reply, so it is no part of the fold, and begins anew with each server.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace xsgit::server {

class ConflictPenalty {
public:
    static constexpr std::size_t kBusy = 4;        // commits within
    static constexpr std::int64_t kBusyMs = 1'000; // such a time: who has fewer is guilty only
    static constexpr unsigned kInARow = 5;         // after so many, while no such transaction has succeeded
    static constexpr double kFree = 5;             // conflicts without consequence
    static constexpr std::int64_t kFreeEveryMs = 5'000; // one of them is given back
    static constexpr std::int64_t kFirstMs = 50;        // then not served for so long,
    static constexpr std::int64_t kFactor = 4;          // and each time so many times as long
    static constexpr std::int64_t kMostMs = 1'000;

    /// `domid` has committed while somebody had a transaction open. O(1).
    void wrote(std::uint32_t domid, std::int64_t now_ms);
    /// A transaction of the control domain succeeded. O(1).
    void succeeded() noexcept { ++successes_; }
    /// A commit of `domid` made such a transaction fail. Times are monotonic, ms. O(1).
    void caused(std::uint32_t domid, std::int64_t now_ms);
    /// Milliseconds until requests of `domid` may be served again; 0: now. O(1).
    std::int64_t wait_ms(std::uint32_t domid, std::int64_t now_ms) const;
    /// It is gone; a successor begins anew.
    void forget(std::uint32_t domid) { guilty_.erase(domid); }

private:
    struct Record {
        double free = kFree;
        std::int64_t at_ms = 0;    // of `free`
        std::int64_t until_ms = 0; // not served
        std::int64_t next_ms = kFirstMs;
        std::array<std::int64_t, kBusy> commits{}; // times of the last ones, the next to go first
        std::size_t next_commit = 0, seen = 0;
        std::uint64_t successes = 0; // that there were at the last conflict
        unsigned in_a_row = 0;       // conflicts since then

        bool is_busy() const noexcept;
    };
    Record &record(std::uint32_t domid, std::int64_t now_ms);
    std::uint64_t successes_ = 0;
    std::unordered_map<std::uint32_t, Record> guilty_; // at most one for each guest
};

} // namespace xsgit::server
