// SPDX-License-Identifier: MIT
// Encoding and checking of one event record.
#include "xsgit/journal/event.hpp"

#include <bit>
#include <cassert>
#include <cstring>
#include <xxhash.h>

namespace xsgit {

static_assert(std::endian::native == std::endian::little, "records are mapped as they are");

namespace {

constexpr std::size_t kChecked = 16; // first byte under the checksum

template <class T>
T get(const std::byte *p) noexcept
{
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
void put(std::byte *p, T v) noexcept
{
    std::memcpy(p, &v, sizeof v);
}

constexpr std::size_t padded(std::size_t n) noexcept { return (n + 7) & ~std::size_t{7}; }

/// Length and kind stand before the checksum: as its seed they are under it too.
std::uint64_t checksum(const std::byte *record, std::size_t length) noexcept
{
    return XXH3_64bits_withSeed(record + kChecked, length - kChecked, get<std::uint64_t>(record));
}

bool known(std::uint32_t kind) noexcept
{
    return kind > static_cast<std::uint32_t>(EventKind::Invalid) &&
           kind <= static_cast<std::uint32_t>(EventKind::Ignore);
}

std::string_view chars(const std::byte *p, std::size_t n) noexcept
{
    return {reinterpret_cast<const char *>(p), n};
}

} // namespace

std::size_t record_size(const Event &e) noexcept
{
    return padded(kRecordHeader + e.facts.size() + e.wire.size());
}

void write_record(const Event &e, std::byte *out) noexcept
{
    const std::size_t length = record_size(e);
    assert(length <= kRecordMax);
    put(out, static_cast<std::uint32_t>(length));
    put(out + 4, static_cast<std::uint32_t>(e.kind));
    put(out + 16, e.number);
    put(out + 24, e.mono_us);
    put(out + 32, e.wall_us);
    put(out + 40, e.conn);
    put(out + 48, e.request);
    put(out + 56, e.outputs_hash);
    put(out + length - 8, std::uint64_t{0}); // the padding; what is not padding is written next
    put(out + 64, static_cast<std::uint32_t>(e.facts.size()));
    put(out + 68, static_cast<std::uint32_t>(e.wire.size()));
    std::byte *data = out + kRecordHeader;
    if (!e.facts.empty())
        std::memcpy(data, e.facts.data(), e.facts.size());
    if (!e.wire.empty())
        std::memcpy(data + e.facts.size(), e.wire.data(), e.wire.size());
    put(out + 8, checksum(out, length));
}

RecordStatus read_record(const std::byte *in, std::size_t avail, Event &e, std::size_t &length) noexcept
{
    if (avail < 8)
        return RecordStatus::Short;
    const std::size_t n = get<std::uint32_t>(in);
    const auto kind = get<std::uint32_t>(in + 4);
    if (n < kRecordHeader || n > kRecordMax || n % 8 != 0 || !known(kind))
        return RecordStatus::Bad;
    if (avail < n)
        return RecordStatus::Short;
    const std::size_t facts = get<std::uint32_t>(in + 64);
    const std::size_t wire = get<std::uint32_t>(in + 68);
    const std::size_t end = kRecordHeader + facts + wire;
    if (padded(end) != n || get<std::uint64_t>(in + 8) != checksum(in, n))
        return RecordStatus::Bad;
    for (std::size_t i = end; i < n; ++i)
        if (in[i] != std::byte{0})
            return RecordStatus::Bad;

    e.number = get<std::uint64_t>(in + 16);
    e.kind = static_cast<EventKind>(kind);
    e.mono_us = get<std::int64_t>(in + 24);
    e.wall_us = get<std::int64_t>(in + 32);
    e.conn = get<std::uint64_t>(in + 40);
    e.request = get<std::uint64_t>(in + 48);
    e.outputs_hash = get<std::uint64_t>(in + 56);
    e.facts = chars(in + kRecordHeader, facts);
    e.wire = chars(in + kRecordHeader + facts, wire);
    length = n;
    return RecordStatus::Ok;
}

} // namespace xsgit
