// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_reader.hpp"

#include "xsgit/git/delta.hpp"
#include "xsgit/git/pack_index.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace xsgit {

PackReader::State PackReader::open(int dir, const std::string &name)
{
    const std::string stem = "pack-" + name;
    auto index = FileMap::open(dir, stem + ".idx");
    auto pack = FileMap::open(dir, stem + ".pack");
    if (!index || !pack)
        return State::Gone;
    index_ = std::move(*index);
    pack_ = std::move(*pack);
    return load() && link() ? State::Good : State::Damaged;
}

/// Ids, checksums and offsets from the index, brought into the order of the pack.
bool PackReader::load()
{
    const std::string_view index = index_.view(), pack = pack_.view();
    if (index.size() < kIndexHeaderSize + 2 * kPackTrailerSize ||
        pack.size() < kPackHeaderSize + kPackTrailerSize || pack.size() >= kMaxPackSize)
        return false;
    const std::size_t n = get_be32(index.data() + kIndexHeaderSize - 4);
    char header[kPackHeaderSize];
    put_pack_header(header, static_cast<std::uint32_t>(n));
    if (index.substr(0, 8) != std::string_view("\377tOc\0\0\0\2", 8) ||
        index.size() != kIndexHeaderSize + n * 28 + 2 * kPackTrailerSize ||
        pack.substr(0, kPackHeaderSize) != std::string_view(header, sizeof header) ||
        pack.substr(pack.size() - kPackTrailerSize) != index.substr(index.size() - 40, 20))
        return false;

    const char *const ids = index.data() + kIndexHeaderSize;
    const char *const crcs = ids + 20 * n;
    const char *const offsets = crcs + 4 * n;
    std::vector<std::uint64_t> order(n);
    for (std::size_t i = 0; i < n; ++i)
        order[i] = std::uint64_t{get_be32(offsets + 4 * i)} << 32 | i;
    std::sort(order.begin(), order.end());

    entries_.assign(n, {});
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = order[i] & 0xffffffff;
        Entry &e = entries_[i];
        e.offset = static_cast<std::uint32_t>(order[i] >> 32);
        if (i == 0 ? e.offset != kPackHeaderSize : e.offset <= before)
            return false;
        before = e.offset;
        std::memcpy(e.oid.bytes.data(), ids + 20 * at, 20);
        e.crc = get_be32(crcs + 4 * at);
    }
    return n == 0 || before < pack.size() - kPackTrailerSize;
}

/// Heads of the entries; delta bases become entry numbers.
bool PackReader::link()
{
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
        Entry &e = entries_[i];
        EntryHead head;
        if (!parse_head(raw(i), head) || head.distance > e.offset)
            return false;
        e.type = head.type;
        e.head_bytes = static_cast<std::uint8_t>(head.head_bytes);
        e.all_bytes = static_cast<std::uint8_t>(head.all_bytes);
        if (head.type != kOfsDelta)
            continue;
        const auto end = entries_.begin() + i;
        const auto base = std::lower_bound(entries_.begin(), end, e.offset - head.distance,
                                           [](const Entry &a, std::uint64_t o) { return a.offset < o; });
        if (base == end || base->offset != e.offset - head.distance)
            return false;
        e.base = static_cast<std::uint32_t>(base - entries_.begin());
        e.type = base->type;
    }
    for (std::size_t i = entries_.size(); i-- > 0;) {
        const Entry &e = entries_[i];
        if (e.base != kNone && e.height < std::numeric_limits<std::uint16_t>::max())
            entries_[e.base].height =
                std::max(entries_[e.base].height, static_cast<std::uint16_t>(e.height + 1));
    }
    return true;
}

std::string_view PackReader::raw(std::uint32_t number) const noexcept
{
    const std::size_t start = entries_[number].offset;
    const std::size_t end =
        number + 1 < entries_.size() ? entries_[number + 1].offset : bytes() - kPackTrailerSize;
    return pack_.view().substr(start, end - start);
}

bool PackReader::content(std::uint32_t number, std::string &out) const
{
    std::vector<std::uint32_t> chain{number};
    while (entries_[chain.back()].base != kNone)
        chain.push_back(entries_[chain.back()].base);
    std::string inflated, target;
    for (; !chain.empty(); chain.pop_back()) {
        const std::string_view entry = raw(chain.back());
        EntryHead head;
        if (!parse_head(entry, head) || !read_stored(entry.substr(head.all_bytes), head.size, inflated))
            return false;
        if (head.type != kOfsDelta) {
            out.swap(inflated);
        } else {
            if (!apply_delta(out, inflated, target))
                return false;
            out.swap(target);
        }
    }
    return true;
}

std::string_view PackReader::stored_content(std::uint32_t number) const noexcept
{
    const std::string_view entry = raw(number);
    EntryHead head;
    if (entries_[number].base != kNone || !parse_head(entry, head))
        return {};
    return view_stored(entry.substr(head.all_bytes), head.size);
}

} // namespace xsgit
