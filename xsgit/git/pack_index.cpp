// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_index.hpp"

#include "xsgit/git/sha1.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace xsgit {

namespace {

struct SortKey {
    std::uint64_t prefix; // first eight bytes of the id, so that order is numeric
    std::uint32_t number;
};

std::uint64_t id_prefix(const Oid &oid) noexcept
{
    const auto *p = reinterpret_cast<const char *>(oid.bytes.data());
    return std::uint64_t{get_be32(p)} << 32 | get_be32(p + 4);
}

/// Ids are evenly spread: one pass into buckets of a few, then a sort within each.
std::vector<SortKey> sorted(const std::vector<PackEntry> &entries)
{
    const unsigned bits = std::clamp(static_cast<unsigned>(std::bit_width(entries.size())) - 2u, 4u, 16u);
    const unsigned shift = 64 - bits;
    std::vector<std::uint32_t> start((std::size_t{1} << bits) + 1, 0);
    for (const PackEntry &e : entries)
        ++start[(id_prefix(e.oid) >> shift) + 1];
    for (std::size_t i = 1; i < start.size(); ++i)
        start[i] += start[i - 1];

    std::vector<SortKey> keys(entries.size());
    std::vector<std::uint32_t> next(start.begin(), start.end() - 1);
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
        const std::uint64_t prefix = id_prefix(entries[i].oid);
        keys[next[prefix >> shift]++] = {prefix, i};
    }
    const auto before = [&entries](const SortKey &a, const SortKey &b) {
        return a.prefix != b.prefix ? a.prefix < b.prefix : entries[a.number].oid < entries[b.number].oid;
    };
    for (std::size_t i = 0; i + 1 < start.size(); ++i) {
        if (start[i + 1] - start[i] > 1)
            std::sort(keys.begin() + start[i], keys.begin() + start[i + 1], before);
    }
    return keys;
}

} // namespace

std::string make_index(const std::vector<PackEntry> &entries, const Oid &pack_checksum)
{
    const std::size_t n = entries.size();
    std::string index(kIndexHeaderSize + n * (20 + 4 + 4) + 2 * kPackTrailerSize, '\0');
    char *const out = index.data();
    std::memcpy(out, "\377tOc", 4);
    put_be32(out + 4, 2);

    char *ids = out + kIndexHeaderSize;
    char *crcs = ids + 20 * n;
    char *offsets = crcs + 4 * n;
    char *const trailer = offsets + 4 * n;
    std::array<std::uint32_t, 256> fanout{};
    for (const SortKey &k : sorted(entries)) {
        const PackEntry &e = entries[k.number];
        ++fanout[k.prefix >> 56];
        std::memcpy(ids, e.oid.bytes.data(), 20);
        put_be32(crcs, e.crc);
        put_be32(offsets, e.offset);
        ids += 20;
        crcs += 4;
        offsets += 4;
    }
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < fanout.size(); ++i)
        put_be32(out + 8 + 4 * i, sum += fanout[i]);

    std::memcpy(trailer, pack_checksum.bytes.data(), 20);
    Sha1 sha;
    sha.update({out, index.size() - kPackTrailerSize});
    const Oid own = sha.finish();
    std::memcpy(trailer + 20, own.bytes.data(), 20);
    return index;
}

} // namespace xsgit
