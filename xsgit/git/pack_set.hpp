// SPDX-License-Identifier: MIT
// Which packs there are and what should happen to them next. Knows no files; not thread-safe:
// PackStore does the work and holds the lock.
#pragma once

#include "xsgit/git/pack_dir.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace xsgit {

class PackSet {
public:
    struct Pack {
        PackMark mark;
        std::uint64_t bytes = 0;
        std::int64_t time = 0;      // of the newest commit in it, ns
        bool replaced = false;      // by a merge, or dropped: only waits to be unlinked
        bool damaged = false;       // never an input again
        std::int64_t due = kNotYet; // when it may be unlinked, us
    };
    static constexpr std::int64_t kNotYet = -1; // the next start_grace() decides

    const std::map<std::string, Pack> &packs() const noexcept { return packs_; }
    Pack *find(const std::string &name);
    /// What to mark a pack with that may be known: the higher epoch and tier win.
    PackMark mark_of(const std::string &name, const PackMark &wanted) const;
    /// Adds a live pack, or makes a known one live again.
    void add(const std::string &name, const PackMark &mark, std::uint64_t bytes, std::int64_t time);
    /// The time of a pack that is added at `now`: later than that of all packs.
    std::int64_t next_time(std::int64_t now) const noexcept;
    void erase(const std::string &name);
    void replace(const std::string &name, std::int64_t due);
    /// Packs replaced while nobody knew the time are due at `due`.
    void start_grace(std::int64_t due);

    std::uint64_t bytes() const noexcept { return bytes_; }
    std::uint64_t live_bytes() const noexcept;
    std::uint64_t epoch_bytes(std::uint32_t epoch) const noexcept;
    std::uint32_t live_count() const noexcept;
    /// Of the live packs; `otherwise` if there are none.
    std::uint32_t oldest_epoch(std::uint32_t otherwise) const noexcept;
    /// Live packs, by age.
    std::vector<std::string> live() const;

    /// The replaced pack to unlink next; empty if there is none.
    std::string next_replaced() const;

    /// What to merge: names, oldest first, and the result's mark. No names: nothing.
    struct Merge {
        std::vector<std::string> names;
        PackMark mark;
        std::uint64_t bytes = 0;
        std::int64_t time = 0;
    };
    /// `width` packs of one epoch and tier or more, the lowest tier first; else all packs of an
    /// epoch before `current`.
    Merge next_merge(std::uint32_t width, std::uint32_t current) const;
    /// Size of the largest merge that may come.
    std::uint64_t largest_merge() const;

private:
    std::map<std::string, Pack> packs_;
    std::uint64_t bytes_ = 0;
    std::int64_t latest_ = 0; // of all that were ever here
};

} // namespace xsgit
