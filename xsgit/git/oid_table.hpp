// SPDX-License-Identifier: MIT
// Finds an object among numbered pack entries by its id. Open addressing; the entries themselves
// stay where they are.
//
// Ids of blobs are a guest's choice (it can try values until the ids' first bits are what it
// likes), so slots are chosen by a secret multiplication and not by bytes of the id.
#pragma once

#include "xsgit/git/pack_format.hpp"

#include <cstdint>
#include <vector>

namespace xsgit {

class OidTable {
public:
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    OidTable();

    /// Number of the entry with this id, or kNone.
    std::uint32_t find(const Oid &oid, const std::vector<PackEntry> &entries) const noexcept
    {
        return probe(hash(oid), oid, entries);
    }
    /// The same; if it is not there, entry `number` is what later calls find. Amortised O(1).
    std::uint32_t find_or_add(const Oid &oid, std::uint32_t number, const std::vector<PackEntry> &entries);
    /// Room for `n` entries without growing.
    void reserve(std::size_t n);
    /// Forgets all; O(entries), keeps the memory unless there is very much of it.
    void clear(const std::vector<PackEntry> &entries);

private:
    std::uint64_t hash(const Oid &oid) const noexcept;
    std::uint32_t probe(std::uint64_t h, const Oid &oid,
                        const std::vector<PackEntry> &entries) const noexcept;
    void place(std::uint64_t slot_value, std::uint64_t h) noexcept;
    void grow(std::size_t slots);

    std::vector<std::uint64_t> slots_; // low half of the hash << 32 | number + 1; 0 is free
    unsigned shift_ = 0;               // 64 - log2(slots)
    std::size_t used_ = 0;
    std::uint64_t key_[2];
};

} // namespace xsgit
