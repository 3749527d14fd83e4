// SPDX-License-Identifier: MIT
// The loop over the steps.
#include "bisect/replay/replay.hpp"

#include "bisect/replay/runner.hpp"

#include <fmt/core.h>

namespace xsgit::replay {

namespace {

/// Two daemons are compared this often, in steps: each time everything must have come.
constexpr std::size_t kSettleEvery = 64;

/// Who is connected, and whether the options let the next step happen.
class Progress {
public:
    Progress(const Script &script, const ReplayOptions &options)
        : options_(options), open_(script.clients.size())
    {
    }

    bool may(const Step &step) const { return !options_.before || options_.before(step); }
    void done(const Step &step, Outcome &o)
    {
        ++o.steps;
        o.requests += step.request() != nullptr;
        if (std::holds_alternative<session::Opened>(step.what))
            open_[step.client] = true;
    }
    /// True once, when the client is gone.
    bool leaves(const Step &step)
    {
        const bool closes = std::holds_alternative<session::Closed>(step.what) && open_[step.client];
        if (closes)
            open_[step.client] = false;
        return closes;
    }
    const std::vector<bool> &open() const noexcept { return open_; }

private:
    const ReplayOptions &options_;
    std::vector<bool> open_;
};

} // namespace

Outcome replay(const Script &script, Target &target, const ReplayOptions &options)
{
    // Only the daemon itself knows in which order it said things to one client because of another.
    const bool own = script.meta.source.starts_with("tap");
    Checker checker(own, options.lenient);
    if (options.check)
        for (std::size_t i = 0; i < script.known_until; ++i)
            checker.expect(script.received[i], script.received_records[i]);
    Runner runner(script, target);
    Progress progress(script, options);
    Outcome o;
    std::vector<Received> came;
    bool whole = !script.cut;
    const auto take = [&](std::optional<Difference> d) {
        return !o.difference && (o.difference = std::move(d));
    };
    for (o.step = 0; o.step < script.steps.size(); ++o.step) {
        const Step &step = script.steps[o.step];
        if (!progress.may(step)) {
            whole = false;
            break;
        }
        came.clear();
        runner.play(step, came);
        progress.done(step, o);
        if (options.after)
            options.after(step, came);
        if (!options.check)
            continue;
        if (step.request() && !step.reply) // nobody knows what to expect
            std::erase_if(
                came, [&](const Received &m) { return m.client == step.client && !m.event && !m.closed; });
        o.compared += came.size();
        for (Received &m : came)
            checker.got(std::move(m));
        if (take(checker.compare()) ||
            (progress.leaves(step) &&
             take(checker.finish(step.client, script.complete && own, script.complete))))
            return o;
    }
    came.clear();
    runner.settle(came);
    if (options.late)
        options.late(came);
    if (!options.check)
        return o;
    o.compared += came.size();
    for (Received &m : came)
        checker.got(std::move(m));
    if (take(checker.compare()) || !whole)
        return o;
    for (std::size_t client = 0; client < script.clients.size(); ++client)
        if (progress.open()[client] && take(checker.finish(client, script.complete, script.complete)))
            return o;
    return o;
}

Outcome compare(const Script &script, Target &a, Target &b, const ReplayOptions &options)
{
    Checker checker(false, options.lenient);
    Runner first(script, a), second(script, b);
    Progress progress(script, options);
    Outcome o;
    std::vector<Received> from_a, from_b;
    const auto differ = [&] {
        o.compared += from_b.size();
        for (Received &m : from_a)
            checker.expect(std::move(m), 0);
        for (Received &m : from_b)
            checker.got(std::move(m));
        from_a.clear();
        from_b.clear();
        o.difference = checker.compare();
        return o.difference.has_value();
    };
    const auto settled = [&] {
        first.settle(from_a);
        second.settle(from_b);
        if (options.late)
            options.late(from_b);
        if (differ())
            return true;
        for (std::size_t client = 0; client < script.clients.size() && !o.difference; ++client)
            o.difference = checker.finish(client, true, true);
        return o.difference.has_value();
    };
    for (o.step = 0; o.step < script.steps.size(); ++o.step) {
        const Step &step = script.steps[o.step];
        if (!progress.may(step))
            break;
        if (progress.leaves(step) && settled())
            return o;
        first.play(step, from_a);
        second.play(step, from_b);
        progress.done(step, o);
        if (options.after)
            options.after(step, from_b);
        if (differ() || ((o.step + 1) % kSettleEvery == 0 && settled()))
            return o;
    }
    settled();
    return o;
}

std::string difference_text(const Script &script, const Outcome &o, std::string_view expected_name,
                            std::string_view got_name)
{
    const Difference &d = *o.difference;
    std::string text;
    if (o.step < script.steps.size())
        text = fmt::format("at record {}: {}\n", script.steps[o.step].record,
                           step_text(script, script.steps[o.step]));
    else
        text = "at the end\n";
    text += fmt::format("  on c{}\n", script.clients[d.client].conn);
    const auto side = [&](std::string_view name, const std::optional<Received> &m, std::uint64_t record) {
        text += fmt::format("  {}: {}{}\n", name, m ? received_text(*m) : "nothing",
                            record ? fmt::format("  (record {})", record) : "");
    };
    side(expected_name, d.expected, d.record);
    side(got_name, d.got, 0);
    return text;
}

} // namespace xsgit::replay
