// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_buffer.hpp"

#include "xsgit/git/delta.hpp"
#include "xsgit/git/pack_index.hpp"
#include "xsgit/git/sha1.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>

namespace xsgit
{

namespace
{

constexpr std::size_t kKeepBytes = std::size_t{16} << 20; // a burst's memory is given back
constexpr std::size_t kTooSmallForDelta = 32;

std::uint64_t next_serial() noexcept
{
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

} // namespace

PackBuffer::PackBuffer() : serial_(next_serial()), data_(kPackHeaderSize, '\0') {}

Placement PackBuffer::put(ObjectType type, const Oid &oid, std::string_view content,
                          const Placement *previous, std::string_view previous_content)
{
    const auto number = static_cast<std::uint32_t>(entries_.size());
    PackEntry entry{oid, static_cast<std::uint32_t>(data_.size()), 0, 0, static_cast<std::uint8_t>(type)};
    assert(data_.size() + stored_size(content.size()) + 16 + kPackTrailerSize < kMaxPackSize);

    // The table may look at the new entry as soon as it knows its number.
    const std::uint32_t found = table_.find_or_add(oid, number, entries_);
    if (found != OidTable::kNone) {
        const PackEntry &e = entries_[found];
        return {serial_, e.offset, e.depth, e.type};
    }
    std::uint32_t distance = 0;
    if (previous && previous->pack == serial_ && previous->type == entry.type &&
        previous->depth < kMaxDeltaDepth && content.size() >= kTooSmallForDelta) {
        const std::uint32_t d = entry.offset - previous->offset;
        char unused[5];
        const std::size_t head = put_distance(unused, d);
        if (make_delta(previous_content, content, content.size() - head - 1, delta_)) {
            distance = d;
            entry.depth = static_cast<std::uint16_t>(previous->depth + 1);
        }
    }
    entry.crc = distance ? append_entry(data_, kOfsDelta, distance, delta_)
                         : append_entry(data_, entry.type, 0, content);
    entries_.push_back(entry);
    return {serial_, entry.offset, entry.depth, entry.type};
}

bool PackBuffer::contains(const Oid &oid) const noexcept
{
    return table_.find(oid, entries_) != OidTable::kNone;
}

std::uint32_t PackBuffer::number_at(std::uint32_t offset) const noexcept
{
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), offset,
                                     [](const PackEntry &e, std::uint32_t o) { return e.offset < o; });
    assert(at != entries_.end() && at->offset == offset);
    return static_cast<std::uint32_t>(at - entries_.begin());
}

bool PackBuffer::read(const Oid &oid, ObjectType &type, std::string &content) const
{
    std::uint32_t number = table_.find(oid, entries_);
    if (number == OidTable::kNone)
        return false;
    type = static_cast<ObjectType>(entries_[number].type);

    std::vector<std::string> deltas; // the object's own first
    const std::string_view data = data_;
    for (;;) {
        EntryHead head;
        const std::uint32_t offset = entries_[number].offset;
        bool good = parse_head(data.substr(offset), head);
        std::string inflated;
        good = good && read_stored(data.substr(offset + head.all_bytes), head.size, inflated);
        assert(good); // we wrote it
        if (!good)
            return false;
        if (head.type != kOfsDelta) {
            content = std::move(inflated);
            break;
        }
        deltas.push_back(std::move(inflated));
        number = number_at(offset - static_cast<std::uint32_t>(head.distance));
    }
    std::string target;
    for (; !deltas.empty(); deltas.pop_back()) {
        const bool fits = apply_delta(content, deltas.back(), target);
        assert(fits); // we wrote it
        if (!fits)
            return false;
        content.swap(target);
    }
    return true;
}

std::size_t PackBuffer::bytes() const noexcept { return data_.size(); }

std::uint32_t PackBuffer::objects() const noexcept { return static_cast<std::uint32_t>(entries_.size()); }

FinishedPack PackBuffer::finish()
{
    FinishedPack out;
    out.objects = objects();
    put_pack_header(data_.data(), out.objects);
    Sha1 sha;
    sha.update(data_);
    const Oid checksum = sha.finish();
    out.name = checksum.hex();
    out.index = make_index(entries_, checksum);
    if (data_.capacity() > kKeepBytes) {
        out.pack = std::move(data_);
        data_ = {};
    } else { // our own memory is warm: the next pack goes there
        out.pack.reserve(data_.size() + kPackTrailerSize);
        out.pack = data_;
    }
    out.pack.append(reinterpret_cast<const char *>(checksum.bytes.data()), checksum.bytes.size());

    table_.clear(entries_);
    if (entries_.capacity() * sizeof(PackEntry) > kKeepBytes)
        entries_ = {};
    entries_.clear();
    data_.resize(kPackHeaderSize);
    serial_ = next_serial();
    return out;
}

} // namespace xsgit
