// SPDX-License-Identifier: MIT
// Another order: at each turn one of those clients that may go on does.
#include "bisect/replay/replay.hpp"

#include <algorithm>
#include <deque>
#include <random>

namespace xsgit::replay {

namespace {

/// News of domains, and rings that come and go with them, bind everybody; and who was there at the begin stays so.
bool is_barrier(const Script &s, const Step &step)
{
    const auto *opened = std::get_if<session::Opened>(&step.what);
    return (opened && opened->before) || std::holds_alternative<session::Domains>(step.what) ||
           (!step.request() && s.clients[step.client].transport == session::Transport::Ring);
}

class Shuffle {
public:
    Shuffle(const Script &script, std::uint64_t seed)
        : script_(script), done_(script.steps.size()), queues_(script.clients.size()), random_(seed)
    {
    }

    std::vector<std::size_t> order()
    {
        for (std::size_t i = 0; i < script_.steps.size(); ++i) {
            if (is_barrier(script_, script_.steps[i])) {
                drain();
                take(i);
                continue;
            }
            auto &queue = queues_[script_.steps[i].client];
            if (queue.empty())
                waiting_.push_back(script_.steps[i].client);
            queue.push_back(i);
        }
        drain();
        return std::move(order_);
    }

private:
    bool ready(std::size_t client) const
    {
        const auto &after = script_.steps[queues_[client].front()].after;
        return std::all_of(after.begin(), after.end(), [&](std::size_t a) { return done_[a]; });
    }
    void take(std::size_t step)
    {
        done_[step] = true;
        order_.push_back(step);
    }
    /// The oldest step is always ready: what it waits for stands before it.
    void drain()
    {
        while (!waiting_.empty()) {
            std::size_t pick = std::uniform_int_distribution<std::size_t>(0, waiting_.size() - 1)(random_);
            while (!ready(waiting_[pick]))
                pick = (pick + 1) % waiting_.size();
            const std::size_t client = waiting_[pick];
            take(queues_[client].front());
            queues_[client].pop_front();
            if (queues_[client].empty()) {
                waiting_[pick] = waiting_.back();
                waiting_.pop_back();
            }
        }
    }

    const Script &script_;
    std::vector<bool> done_;
    std::vector<std::deque<std::size_t>> queues_; // by client
    std::vector<std::size_t> waiting_;            // clients whose queue is not empty
    std::mt19937_64 random_;
    std::vector<std::size_t> order_;
};

} // namespace

Script reinterleave(const Script &script, std::uint64_t seed)
{
    const std::vector<std::size_t> order = Shuffle(script, seed).order();
    Script out = script;
    out.received.clear();
    out.received_records.clear();
    out.known_until = 0;
    out.complete = false;
    std::vector<std::size_t> moved(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        moved[order[i]] = i;
    for (std::size_t i = 0; i < order.size(); ++i) {
        Step &step = out.steps[i] = script.steps[order[i]];
        step.at_us = script.steps[i].at_us; // the same pace
        for (std::size_t &a : step.after)
            a = moved[a];
    }
    return out;
}

} // namespace xsgit::replay
