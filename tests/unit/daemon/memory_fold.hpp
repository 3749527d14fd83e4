// SPDX-License-Identifier: MIT
// The fold without a store: the real engine, the journal a vector. Making another one from the
// same journal is what recovery does.
#pragma once

#include "server/daemon/fold.hpp"

#include <atomic>
#include <string>
#include <vector>

namespace xsgit::server::test {

struct KeptEvent {
    Event event;
    std::string facts, wire;
};

class MemoryFold final : public Fold {
public:
    explicit MemoryFold(std::vector<KeptEvent> &journal) : journal_(journal)
    {
        Outputs out;
        if (journal_.empty()) {
            Event start;
            start.kind = EventKind::Start;
            execute(start, out);
            return;
        }
        for (const KeptEvent &k : journal_) {
            Event e = k.event;
            e.facts = k.facts;
            e.wire = k.wire;
            out.clear();
            state_.step(e, out);
            std::uint32_t index = 0;
            for (const Output &o : out.items())
                unsent_.push_back({o.conn, {e.number, index++}, o.event, std::string(out.bytes(o))});
        }
    }

    std::vector<State::Connection> connections() const override { return state_.connections(); }
    std::vector<State::KnownDomain> domains() const override { return state_.domains(); }
    std::uint64_t unique_id(std::uint32_t domid) const override { return state_.unique_id(domid); }
    std::uint32_t outstanding_limit(std::uint32_t domid) const override
    {
        return state_.outstanding_limit(domid);
    }
    std::uint64_t commits() const override { return state_.seq(); }
    std::size_t open_transactions() const override { return state_.open_transactions(); }
    std::uint64_t next_connection() const override { return state_.next_connection(); }
    std::uint64_t event_number() const override { return state_.event_number(); }
    Needs needs(const Event &e) const override { return state_.needs(e); }
    std::vector<UnsentOutput> take_unsent() override { return std::move(unsent_); }
    void start(SentUpTo f) override { sent_up_to = std::move(f); }
    bool execute(Event &e, Outputs &out) override
    {
        ++attempts;
        if (refuse)
            return false;
        e.number = state_.event_number() + 1;
        out.clear();
        state_.step(e, out);
        journal_.push_back({e, std::string(e.facts), std::string(e.wire)});
        return true;
    }
    int wake_fd() const override { return -1; }
    void tend() override {}
    std::vector<std::uint32_t> take_culprits() override { return {}; }
    std::int64_t lag_us() const override { return 0; }
    bool published(std::uint64_t) override { return true; }
    std::vector<std::pair<std::string, std::string>> status() const override { return {}; }

    SentUpTo sent_up_to;
    std::atomic<bool> refuse{false};
    std::atomic<unsigned> attempts{0};

private:
    std::vector<KeptEvent> &journal_;
    State state_;
    std::vector<UnsentOutput> unsent_;
};

} // namespace xsgit::server::test
