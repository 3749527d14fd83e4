// SPDX-License-Identifier: MIT
#include "server/daemon/sent_names.hpp"

#include <algorithm>
#include <limits>

namespace xsgit::server {

namespace {
constexpr std::uint64_t kNone = ~std::uint64_t{0};
constexpr std::uint32_t kIndexMax = 0xffff;
} // namespace

SentNames::SentNames() : first_(new std::atomic<std::uint64_t>[kSlotCount])
{
    for (std::uint32_t i = 0; i < kSlotCount; ++i)
        first_[i].store(kNone, std::memory_order_relaxed);
}

void SentNames::add(std::uint64_t conn, std::uint32_t slot)
{
    nothing_waits(slot);
    const std::lock_guard lock(mutex_);
    slot_of_[conn] = slot;
}

void SentNames::remove(std::uint64_t conn)
{
    const std::lock_guard lock(mutex_);
    slot_of_.erase(conn);
}

void SentNames::waiting(std::uint32_t slot, OutputName first) noexcept
{
    first_[slot].store(first.event << 16 | std::min(first.index, kIndexMax), std::memory_order_release);
}

void SentNames::nothing_waits(std::uint32_t slot) noexcept
{
    first_[slot].store(kNone, std::memory_order_release);
}

OutputName SentNames::sent_up_to(std::uint64_t conn) const
{
    // The order matters: what the loop delivers after this load is not promised.
    const std::uint64_t delivered = delivered_.load(std::memory_order_acquire);
    const std::lock_guard lock(mutex_);
    const auto it = slot_of_.find(conn);
    if (it == slot_of_.end())
        return {std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint32_t>::max()};
    const std::uint64_t first = first_[it->second].load(std::memory_order_acquire);
    return first == kNone ? OutputName{delivered + 1, 0}
                          : OutputName{first >> 16, static_cast<std::uint32_t>(first & kIndexMax)};
}

SentUpTo sent_before(SlotFile &slots)
{
    std::unordered_map<std::uint64_t, OutputName> first;
    for (const std::uint32_t index : slots.used()) {
        const SlotMemory &m = slots.memory(index);
        const OutputRecord &r = m.out[m.output_active & 1];
        first[m.conn] = {r.last_event, r.last_index + 1};
    }
    return [first = std::move(first)](std::uint64_t conn) {
        const auto it = first.find(conn);
        return it == first.end() ? OutputName() : it->second;
    };
}

} // namespace xsgit::server
