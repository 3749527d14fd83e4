// SPDX-License-Identifier: MIT
#include "server/daemon/outbox.hpp"

#include "xsgit/base/limits.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <sys/random.h>
#include <xxhash.h>

namespace xsgit::server {

namespace {

/// Up to here a comparison with every waiting event is cheaper than an index.
constexpr std::size_t kCompareAll = 8;

/// Seeded per process, so that nobody can prepare messages that all collide.
std::uint64_t hash_of(std::string_view message) noexcept
{
    static const std::uint64_t seed = [] {
        std::uint64_t n = 0;
        (void)!getrandom(&n, sizeof n, GRND_NONBLOCK);
        return n;
    }();
    return XXH3_64bits_withSeed(message.data(), message.size(), seed);
}

} // namespace

Outbox::Added Outbox::add(OutputName name, bool event, std::string_view message, std::int64_t now_ms,
                          std::uint64_t by)
{
    assert(empty() || items_.back().name < name);
    std::uint64_t hash = 0;
    if (event) {
        const bool special = message.size() > kHeaderSize && message[kHeaderSize] == '@';
        if (!special && !empty() && waiting(message))
            return Added::Merged;
        // Who waits for the end of a domain counts on being told. Of watches with a depth there is one kind for each
        // domain, so there is an end to it all the same.
        if (bytes() + message.size() > kOutputDropEvents) {
            if (special && waiting(message))
                return Added::Merged;
            if (special ? bytes() + message.size() > kOutputMost : too_much(message.size(), by))
                return Added::Dropped;
        }
        if (shared_)
            shares_[by] += message.size();
        if (indexed_) {
            hash = hash_of(message);
            index_.emplace(hash, dropped_bytes_ + data_.size());
        }
    }
    items_.push_back(
        {name, static_cast<std::uint32_t>(message.size()), event, hash, now_ms, by, false, false});
    replies_ += !event;
    data_.append(message);
    return Added::Queued;
}

/// Who fills the queue loses what does not fit; nobody else does for it.
bool Outbox::too_much(std::size_t more, std::uint64_t by)
{
    if (!shared_)
        for (std::size_t i = head_; i < items_.size(); ++i)
            if (items_[i].event)
                shares_[items_[i].by] += items_[i].length;
    shared_ = true;
    return bytes() + more > kOutputMost || shares_[by] + more > kOutputShare;
}

bool Outbox::waiting(std::string_view message)
{
    if (!indexed_ && items_.size() - head_ > kCompareAll)
        build_index();
    if (indexed_) {
        const auto [from, to] = index_.equal_range(hash_of(message));
        for (auto i = from; i != to; ++i)
            if (data_.compare(i->second - dropped_bytes_, message.size(), message) == 0)
                return true;
        return false;
    }
    std::size_t at = data_head_;
    for (std::size_t i = head_; i < items_.size(); at += items_[i++].length)
        if (items_[i].event && std::string_view(data_).substr(at, items_[i].length) == message)
            return true;
    return false;
}

void Outbox::build_index()
{
    std::size_t at = data_head_;
    for (std::size_t i = head_; i < items_.size(); at += items_[i++].length) {
        Item &item = items_[i];
        if (!item.event)
            continue;
        item.hash = hash_of(std::string_view(data_).substr(at, item.length));
        index_.emplace(item.hash, dropped_bytes_ + at);
    }
    indexed_ = true;
}

void Outbox::forget(const Item &item, std::uint64_t position)
{
    const auto [from, to] = index_.equal_range(item.hash);
    for (auto i = from; i != to; ++i)
        if (i->second == position) {
            index_.erase(i);
            return;
        }
}

Outbox::Batch Outbox::take(char *to, std::size_t size)
{
    Batch batch;
    const std::size_t begin = data_head_;
    for (; head_ < items_.size() && batch.bytes + items_[head_].length <= size; ++head_) {
        Item &item = items_[head_];
        if (indexed_ && item.event)
            forget(item, dropped_bytes_ + data_head_);
        replies_ -= !item.event;
        if (shared_ && item.event)
            shares_[item.by] -= item.length;
        data_head_ += item.length;
        batch.bytes += item.length;
        batch.last = item.name;
        let_go(item);
    }
    std::memcpy(to, data_.data() + begin, batch.bytes);
    if (empty()) {
        reset();
    } else if (data_head_ > data_.size() / 2) {
        data_.erase(0, data_head_);
        dropped_bytes_ += data_head_;
        data_head_ = 0;
        items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
        told_ -= std::min(told_, head_);
        head_ = 0;
    }
    return batch;
}

/// Whoever counts it is told.
void Outbox::let_go(Item &item)
{
    if (std::exchange(item.counted, false)) {
        gone_.push_back({item.name.event, item.by, item.length});
        --counted_;
    }
    item.done = true;
}

std::vector<Outbox::Caused> Outbox::take_waiting()
{
    std::vector<Caused> waiting;
    for (told_ = std::max(told_, head_); told_ < items_.size(); ++told_)
        if (Item &item = items_[told_]; item.by != 0 && !item.counted && !item.done) {
            item.counted = true;
            ++counted_;
            waiting.push_back({item.name.event, item.by, item.length});
        }
    return waiting;
}

void Outbox::count_no_more()
{
    for (std::size_t i = head_; counted_ > 0 && i < told_; ++i)
        let_go(items_[i]);
    for (told_ = std::max(told_, head_); told_ < items_.size(); ++told_)
        let_go(items_[told_]);
}

std::int64_t Outbox::oldest_counted_ms() const noexcept
{
    for (std::size_t i = head_; counted_ > 0 && i < items_.size(); ++i)
        if (items_[i].counted)
            return items_[i].added_ms;
    return INT64_MAX;
}

std::int64_t Outbox::oldest_ms() const noexcept
{
    const auto it = std::find_if(items_.begin() + static_cast<std::ptrdiff_t>(head_), items_.end(),
                                 [](const Item &i) { return i.added_ms != 0; });
    return it == items_.end() ? INT64_MAX : it->added_ms;
}

void Outbox::clear()
{
    count_no_more();
    reset();
}

void Outbox::reset() noexcept
{
    // A burst's memory is given back, everyday's is kept.
    constexpr std::size_t kKeep = 4096;
    items_.clear();
    if (items_.capacity() * sizeof(Item) > kKeep)
        items_.shrink_to_fit();
    data_.clear();
    if (data_.capacity() > kKeep)
        data_.shrink_to_fit();
    if (indexed_)
        index_ = {};
    if (shared_)
        shares_ = {};
    shared_ = false;
    indexed_ = false;
    head_ = told_ = counted_ = data_head_ = replies_ = 0;
    dropped_bytes_ = 0;
}

std::size_t Outbox::expire(std::int64_t before_ms)
{
    const auto old = [&](const Item &i) { return i.event && i.added_ms < before_ms; };
    const std::size_t n = static_cast<std::size_t>(
        std::count_if(items_.begin() + static_cast<std::ptrdiff_t>(head_), items_.end(), old));
    if (n == 0)
        return 0;
    std::vector<Item> items;
    std::string data;
    std::size_t at = data_head_, replies = 0;
    for (std::size_t i = head_; i < items_.size(); at += items_[i++].length)
        if (old(items_[i])) {
            let_go(items_[i]);
        } else {
            items.push_back(items_[i]);
            data.append(data_, at, items_[i].length);
            replies += !items_[i].event;
        }
    reset();
    items_ = std::move(items);
    data_ = std::move(data);
    replies_ = replies;
    counted_ = static_cast<std::size_t>(
        std::count_if(items_.begin(), items_.end(), [](const Item &i) { return i.counted; }));
    return n;
}

} // namespace xsgit::server
