// SPDX-License-Identifier: MIT
// Tells the committer thread, while the loop runs, which outputs need not be made again after a crash.
#pragma once

#include "server/daemon/slot_file.hpp"
#include "server/daemon/slot_format.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace xsgit::server {

/// "Sent" here means: in the connection's slot or gone, for the slot outlives the process.
class SentNames {
public:
    SentNames();

    // ---- loop --------------------------------------------------------------
    void add(std::uint64_t conn, std::uint32_t slot);
    void remove(std::uint64_t conn);
    /// First output that waits outside the slot. Before delivered() of its event.
    void waiting(std::uint32_t slot, OutputName first) noexcept;
    void nothing_waits(std::uint32_t slot) noexcept;
    /// All outputs of this event and those before are in slots or announced by waiting().
    void delivered(std::uint64_t event) noexcept { delivered_.store(event, std::memory_order_release); }

    // ---- any thread --------------------------------------------------------
    OutputName sent_up_to(std::uint64_t conn) const;

private:
    std::atomic<std::uint64_t> delivered_{0};
    /// Event << 16 | index (an index that does not fit is rounded down, which is safe); ~0: none.
    std::unique_ptr<std::atomic<std::uint64_t>[]> first_;
    mutable std::mutex mutex_; // of slot_of_: taken by the loop only when a client comes or goes
    std::unordered_map<std::uint64_t, std::uint32_t> slot_of_;
};

/// What an earlier process has put into slots: a copy, as they are now. Of connections without a slot: nothing.
SentUpTo sent_before(SlotFile &slots);

} // namespace xsgit::server
