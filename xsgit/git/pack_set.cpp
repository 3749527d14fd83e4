// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_set.hpp"

#include <algorithm>
#include <cassert>

namespace xsgit {

namespace {

constexpr std::uint64_t kMaxMergeBytes = std::uint64_t{1} << 30; // a pack stays well below 2 GiB
constexpr std::size_t kMaxMergePacks = 512;

} // namespace

PackSet::Pack *PackSet::find(const std::string &name)
{
    const auto at = packs_.find(name);
    return at == packs_.end() ? nullptr : &at->second;
}

void PackSet::add(const std::string &name, const PackMark &mark, std::uint64_t bytes, std::int64_t time)
{
    Pack &p = packs_[name];
    bytes_ += bytes - p.bytes;
    p.bytes = bytes;
    p.mark = mark;
    p.time = time;
    latest_ = std::max(latest_, time);
    p.replaced = p.damaged = false;
    p.due = kNotYet;
}

PackMark PackSet::mark_of(const std::string &name, const PackMark &wanted) const
{
    const auto at = packs_.find(name);
    if (at == packs_.end())
        return wanted;
    const PackMark &known = at->second.mark;
    return {std::max(known.epoch, wanted.epoch), std::max(known.tier, wanted.tier)};
}

std::int64_t PackSet::next_time(std::int64_t now) const noexcept { return std::max(now, latest_ + 1); }

void PackSet::erase(const std::string &name)
{
    const auto at = packs_.find(name);
    assert(at != packs_.end());
    bytes_ -= at->second.bytes;
    packs_.erase(at);
}

void PackSet::replace(const std::string &name, std::int64_t due)
{
    Pack *p = find(name);
    assert(p);
    p->replaced = true;
    p->due = due;
}

void PackSet::start_grace(std::int64_t due)
{
    for (auto &[name, p] : packs_) {
        if (p.replaced && p.due == kNotYet)
            p.due = due;
    }
}

std::uint64_t PackSet::live_bytes() const noexcept
{
    std::uint64_t sum = 0;
    for (const auto &[name, p] : packs_)
        sum += p.replaced ? 0 : p.bytes;
    return sum;
}

std::uint64_t PackSet::epoch_bytes(std::uint32_t epoch) const noexcept
{
    std::uint64_t sum = 0;
    for (const auto &[name, p] : packs_)
        sum += p.replaced || p.mark.epoch != epoch ? 0 : p.bytes;
    return sum;
}

std::uint32_t PackSet::live_count() const noexcept
{
    return static_cast<std::uint32_t>(
        std::count_if(packs_.begin(), packs_.end(), [](const auto &e) { return !e.second.replaced; }));
}

std::uint32_t PackSet::oldest_epoch(std::uint32_t otherwise) const noexcept
{
    std::uint32_t oldest = otherwise;
    for (const auto &[name, p] : packs_) {
        if (!p.replaced)
            oldest = std::min(oldest, p.mark.epoch);
    }
    return oldest;
}

std::vector<std::string> PackSet::live() const
{
    std::vector<std::string> names;
    for (const auto &[name, p] : packs_) {
        if (!p.replaced)
            names.push_back(name);
    }
    std::sort(names.begin(), names.end(), [this](const std::string &a, const std::string &b) {
        return packs_.at(a).time < packs_.at(b).time;
    });
    return names;
}

std::string PackSet::next_replaced() const
{
    const std::pair<const std::string, Pack> *next = nullptr;
    for (const auto &entry : packs_) {
        const Pack &p = entry.second;
        if (!p.replaced)
            continue;
        // Dropped while nobody knew the time is later than any time.
        const auto before = [](std::int64_t a, std::int64_t b) {
            return static_cast<std::uint64_t>(a) < static_cast<std::uint64_t>(b);
        };
        if (!next || before(p.due, next->second.due))
            next = &entry;
    }
    return next ? next->first : std::string();
}

PackSet::Merge PackSet::next_merge(std::uint32_t width, std::uint32_t current) const
{
    // Live packs by age in their groups. An epoch that is over is one group, whatever the tiers.
    std::map<std::pair<std::uint32_t, std::uint32_t>, Merge> groups; // tier, epoch
    constexpr std::uint32_t kOver = ~std::uint32_t{0};               // sorts last
    for (const std::string &name : live()) {
        const Pack &p = packs_.at(name);
        const bool over = p.mark.epoch < current;
        if (p.damaged)
            continue;
        Merge &m = groups[{over ? kOver : p.mark.tier, p.mark.epoch}];
        if (m.bytes + p.bytes > kMaxMergeBytes || m.names.size() == kMaxMergePacks)
            continue;
        m.names.push_back(name);
        m.bytes += p.bytes;
        m.time = std::max(m.time, p.time);
        m.mark = {p.mark.epoch, std::max(m.mark.tier, p.mark.tier + 1)};
    }
    for (auto &[key, m] : groups) {
        if (m.names.size() >= (key.first == kOver ? 2 : std::max(width, 2u)))
            return std::move(m);
    }
    return {};
}

std::uint64_t PackSet::largest_merge() const
{
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint64_t>> epochs; // packs, bytes
    for (const auto &[name, p] : packs_) {
        if (p.replaced || p.damaged)
            continue;
        auto &[count, bytes] = epochs[p.mark.epoch];
        ++count;
        bytes += p.bytes;
    }
    std::uint64_t largest = 0;
    for (const auto &[epoch, sum] : epochs) {
        if (sum.first > 1)
            largest = std::max(largest, sum.second);
    }
    return std::min(largest, kMaxMergeBytes);
}

} // namespace xsgit
