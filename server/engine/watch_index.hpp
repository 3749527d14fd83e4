// SPDX-License-Identifier: MIT
// Which watches an event reaches: a trie of path components. Finding them costs
// O(depth of the path + watches found), whatever the number of watches: at each level there is one search by name.
#pragma once

#include "xsgit/base/path.hpp"
#include "xsgit/tree/node.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

/// A registered watch. Owned by its connection.
struct Watch {
    std::uint64_t conn = 0;
    std::uint64_t order = 0; // registration number, unique in the state: the order of delivery
    Path path;               // absolute
    std::string given;       // as the client wrote it
    std::string token;
    std::size_t strip = 0; // characters cut off event paths: relative watches
    int depth = -1;        // -1: unlimited
};

class WatchIndex {
public:
    WatchIndex();
    ~WatchIndex();
    WatchIndex(WatchIndex &&) noexcept;
    WatchIndex &operator=(WatchIndex &&) noexcept;

    /// `w` must stay where it is until removed; no other of its connection has its path and token.
    void add(const Watch *w);
    void remove(const Watch *w);
    /// The watch of `conn` on exactly `path` with that token; null: none. O(depth + log(watches there)).
    const Watch *find(const Path &path, std::uint64_t conn, std::string_view token) const;
    std::size_t size() const noexcept { return size_; }
    /// Names and watches that this thread has looked at in any index, since it began: what its requests cost, for tests.
    static std::size_t comparisons() noexcept;

    /// Appends the watches on `path` itself and, unless `exact`, those above it that reach
    /// so deep, of connections that `wants(conn)`, which is asked once for each of these paths (empty: of all). Not ordered.
    /// O(depth + watches found + connections asked about).
    void match(const Path &path, bool exact, std::vector<const Watch *> &out,
               const std::function<bool(std::uint64_t)> &wants = {}) const;

    /// Calls `f(path, node)` for every node below `top` (not top itself) that has a watch
    /// exactly on it; `path` is where `top` stands. Visits only what both the subtree and the index hold.
    /// children_first: the order of a removal; else parents first.
    void below(const Path &path, const Node &top, bool children_first,
               const std::function<void(const Path &, const Node &)> &f) const;

private:
    struct Entry;
    struct ByText {
        using is_transparent = void;
        bool operator()(std::string_view a, std::string_view b) const noexcept;
    };
    using Entries = std::map<std::string, std::unique_ptr<Entry>, ByText>;
    Entry *entry_at(const Path &path) const;
    std::unique_ptr<Entry> root_, special_;
    std::size_t size_ = 0;
};

} // namespace xsgit::server
