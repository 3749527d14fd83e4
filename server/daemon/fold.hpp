// SPDX-License-Identifier: MIT
// What the event loop needs of the store: the fold, and nothing of how it is kept.
#pragma once

#include "server/store/store.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace xsgit::server {

class Fold {
public:
    virtual ~Fold() = default;
    /// As State and Store have them.
    virtual std::vector<State::Connection> connections() const = 0;
    virtual std::vector<State::KnownDomain> domains() const = 0;
    virtual std::uint64_t unique_id(std::uint32_t domid) const = 0;
    virtual std::uint32_t outstanding_limit(std::uint32_t domid) const = 0;
    virtual std::uint64_t commits() const = 0;
    virtual std::size_t open_transactions() const = 0;
    virtual std::uint64_t next_connection() const = 0;
    virtual std::uint64_t event_number() const = 0;
    virtual Needs needs(const Event &e) const = 0;
    virtual std::vector<UnsentOutput> take_unsent() = 0;
    virtual void start(SentUpTo sent_up_to) = 0;
    virtual bool execute(Event &e, Outputs &out) = 0;
    virtual int wake_fd() const = 0; // -1: never
    virtual void tend() = 0;
    virtual std::vector<std::uint32_t> take_culprits() = 0;
    virtual std::int64_t lag_us() const = 0;
    /// Whether git shows everything up to event `number`; if not, it soon will.
    virtual bool published(std::uint64_t number) = 0;
    /// Facts for `xenstore-control status`: name and value.
    virtual std::vector<std::pair<std::string, std::string>> status() const = 0;
};

} // namespace xsgit::server
