// SPDX-License-Identifier: MIT
#include "xsgit/git/oid_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>

namespace xsgit {

namespace {

constexpr std::size_t kFirstSlots = 1024;
constexpr std::size_t kKeepSlots = std::size_t{1} << 19; // 4 MiB

} // namespace

OidTable::OidTable()
{
    std::random_device random;
    for (auto &k : key_)
        k = (std::uint64_t{random()} << 32 | random()) | 1;
    grow(kFirstSlots);
}

std::uint64_t OidTable::hash(const Oid &oid) const noexcept
{
    std::uint64_t a, b;
    std::memcpy(&a, oid.bytes.data(), 8);
    std::memcpy(&b, oid.bytes.data() + 8, 8);
    return a * key_[0] + b * key_[1];
}

std::uint32_t OidTable::probe(std::uint64_t h, const Oid &oid,
                              const std::vector<PackEntry> &entries) const noexcept
{
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = h >> shift_;; i = (i + 1) & mask) {
        const std::uint64_t slot = slots_[i];
        if (slot == 0)
            return kNone;
        if (static_cast<std::uint32_t>(slot >> 32) == static_cast<std::uint32_t>(h)) {
            const auto number = static_cast<std::uint32_t>(slot) - 1;
            if (entries[number].oid == oid)
                return number;
        }
    }
}

void OidTable::place(std::uint64_t slot_value, std::uint64_t h) noexcept
{
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = h >> shift_;
    while (slots_[i])
        i = (i + 1) & mask;
    slots_[i] = slot_value;
}

std::uint32_t OidTable::find_or_add(const Oid &oid, std::uint32_t number,
                                    const std::vector<PackEntry> &entries)
{
    const std::uint64_t h = hash(oid);
    const std::uint32_t found = probe(h, oid, entries);
    if (found != kNone)
        return found;
    if (2 * (used_ + 1) > slots_.size()) {
        // Rebuilt from the entries: a slot holds too little of the hash.
        std::vector<std::uint64_t> old;
        old.swap(slots_);
        grow(2 * old.size());
        for (const std::uint64_t slot : old) {
            if (slot)
                place(slot, hash(entries[static_cast<std::uint32_t>(slot) - 1].oid));
        }
    }
    place(h << 32 | (number + 1), h);
    ++used_;
    return kNone;
}

void OidTable::grow(std::size_t slots)
{
    slots_.assign(slots, 0);
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(slots));
}

void OidTable::reserve(std::size_t n)
{
    const std::size_t slots = std::bit_ceil(2 * (n + 1));
    if (used_ == 0 && slots > slots_.size())
        grow(slots);
}

void OidTable::clear(const std::vector<PackEntry> &entries)
{
    if (slots_.size() > kKeepSlots) {
        slots_ = {};
        grow(kFirstSlots);
    } else if (used_ * 16 > slots_.size()) {
        std::fill(slots_.begin(), slots_.end(), 0);
    } else {
        // A small pack after a large one: only its own slots. They are looked for by number, over
        // slots already freed, so the order does not matter.
        const std::size_t mask = slots_.size() - 1;
        for (std::uint32_t number = 0; number < entries.size(); ++number) {
            std::size_t i = hash(entries[number].oid) >> shift_;
            while (static_cast<std::uint32_t>(slots_[i]) != number + 1)
                i = (i + 1) & mask;
            slots_[i] = 0;
        }
    }
    used_ = 0;
}

} // namespace xsgit
