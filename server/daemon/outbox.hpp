// SPDX-License-Identifier: MIT
// Messages for one connection that its slot has no room for yet. It may merge or drop watch events,
// never replies; it never changes one.
#pragma once

#include "server/store/store.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace xsgit::server {

class Outbox {
public:
    enum class Added { Queued, Merged, Dropped };
    /// Adds a whole message; names must grow. An event that waits here already is not added
    /// again (except "@…"), nor is one beyond kOutputDropEvents, unless little of what waits is `by` the same one; of "@…"
    /// one of a kind is kept even then. `now_ms`: for expire(). `by`: an event that counts against this connection
    /// while it waits; 0: none.
    Added add(OutputName name, bool event, std::string_view message, std::int64_t now_ms = 0,
              std::uint64_t by = 0);

    bool empty() const noexcept { return head_ == items_.size(); }
    std::size_t bytes() const noexcept { return data_.size() - data_head_; }
    std::size_t replies() const noexcept { return replies_; }
    /// Drops events that were added before `before_ms`; gives their number.
    std::size_t expire(std::int64_t before_ms);
    /// Name of the oldest message; precondition: not empty.
    OutputName front() const noexcept { return items_[head_].name; }

    /// An event that has a `by`.
    struct Caused {
        std::uint64_t event, by;
        std::size_t bytes;
    };
    /// Those that have come to wait since the last call.
    std::vector<Caused> take_waiting();
    /// Those among them that do not wait any more.
    std::vector<Caused> take_gone() { return std::exchange(gone_, {}); }
    /// None that waits now counts any more, or will. O(those that counted, and those that are new).
    void count_no_more();
    /// How many count.
    std::size_t counted() const noexcept { return counted_; }
    /// When the oldest that counts, and the oldest that has a time, was added; INT64_MAX: there is none. O(1) but for
    /// what stands before it.
    std::int64_t oldest_counted_ms() const noexcept;
    std::int64_t oldest_ms() const noexcept;

    struct Batch {
        std::size_t bytes = 0;
        OutputName last;
    };
    /// Moves as many whole messages to `to` as fit; size at least kMessageMax.
    Batch take(char *to, std::size_t size);
    void clear();

private:
    struct Item {
        OutputName name;
        std::uint32_t length;
        bool event;
        std::uint64_t hash; // of events, once indexed
        std::int64_t added_ms;
        std::uint64_t by;
        bool counted; // take_waiting() told of it
        bool done;    // it counts no more
    };
    bool too_much(std::size_t more, std::uint64_t by);
    void reset() noexcept;
    void let_go(Item &item);
    bool waiting(std::string_view message);
    void build_index();
    void forget(const Item &item, std::uint64_t position);

    std::vector<Item> items_;
    std::size_t head_ = 0;
    std::size_t told_ = 0; // items that take_waiting() need not look at
    std::size_t counted_ = 0;
    bool shared_ = false;                                   // once there was too much
    std::unordered_map<std::uint64_t, std::size_t> shares_; // bytes of events, by who caused them
    std::vector<Caused> gone_;
    std::size_t replies_ = 0;
    std::string data_;
    std::size_t data_head_ = 0;
    std::uint64_t dropped_bytes_ = 0; // position in the stream of data_[0]
    bool indexed_ = false;
    std::unordered_multimap<std::uint64_t, std::uint64_t> index_; // hash of an event -> its position
};

} // namespace xsgit::server
