// SPDX-License-Identifier: MIT
// The store as the loop sees it.
#pragma once

#include "server/daemon/fold.hpp"

#include <utility>

namespace xsgit::server {

class StoreFold final : public Fold {
public:
    explicit StoreFold(Store &store) noexcept : store_(store) {}
    std::vector<State::Connection> connections() const override { return store_.state().connections(); }
    std::vector<State::KnownDomain> domains() const override { return store_.state().domains(); }
    std::uint64_t unique_id(std::uint32_t domid) const override { return store_.state().unique_id(domid); }
    std::uint32_t outstanding_limit(std::uint32_t domid) const override
    {
        return store_.state().outstanding_limit(domid);
    }
    std::uint64_t commits() const override { return store_.state().seq(); }
    std::size_t open_transactions() const override { return store_.state().open_transactions(); }
    std::uint64_t next_connection() const override { return store_.state().next_connection(); }
    std::uint64_t event_number() const override { return store_.state().event_number(); }
    Needs needs(const Event &e) const override { return store_.state().needs(e); }
    std::vector<UnsentOutput> take_unsent() override { return store_.take_unsent(); }
    void start(SentUpTo sent_up_to) override { store_.start(std::move(sent_up_to)); }
    bool execute(Event &e, Outputs &out) override { return store_.execute(e, out); }
    int wake_fd() const override { return store_.wake_fd(); }
    void tend() override { store_.tend(); }
    std::vector<std::uint32_t> take_culprits() override { return store_.take_culprits(); }
    std::int64_t lag_us() const override { return store_.lag_us(); }
    bool published(std::uint64_t number) override { return store_.published(number); }
    std::vector<std::pair<std::string, std::string>> status() const override { return store_.status(); }

private:
    Store &store_;
};

} // namespace xsgit::server
