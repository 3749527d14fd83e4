// SPDX-License-Identifier: MIT
// Delta debugging by complements: leave out ever smaller chunks, begin anew with larger ones after a success.
#include "bisect/replay/minimize.hpp"

#include <algorithm>
#include <numeric>

namespace xsgit::replay {

std::vector<std::size_t> smallest_part(std::size_t n,
                                       const std::function<bool(const std::vector<std::size_t> &)> &fails,
                                       const std::function<bool()> &stop)
{
    std::vector<std::size_t> part(n);
    std::iota(part.begin(), part.end(), std::size_t{0});
    for (std::size_t chunk = (n + 1) / 2; chunk > 0 && !part.empty();) {
        bool smaller = false;
        for (std::size_t at = 0; at < part.size();) {
            if (stop())
                return part;
            std::vector<std::size_t> rest(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(at));
            const std::size_t end = std::min(at + chunk, part.size());
            rest.insert(rest.end(), part.begin() + static_cast<std::ptrdiff_t>(end), part.end());
            if (fails(rest)) {
                part = std::move(rest); // the next chunk is here now
                smaller = true;
            } else {
                at = end;
            }
        }
        if (chunk == 1 && !smaller)
            break;
        chunk = chunk > 1 ? chunk / 2 : 1;
    }
    return part;
}

namespace {

class Shrink {
public:
    Shrink(const Script &script, const std::function<bool(const Script &)> &fails, std::uint64_t max_runs,
           const std::function<void(std::size_t)> &tell)
        : script_(script), fails_(fails), max_runs_(max_runs), tell_(tell)
    {
        kept_.assign(script.steps.size(), true);
    }

    Minimized run()
    {
        std::vector<std::vector<std::size_t>> clients(script_.clients.size());
        std::vector<std::vector<std::size_t>> single;
        for (std::size_t i = 0; i < script_.steps.size(); ++i)
            if (script_.steps[i].request())
                clients[script_.steps[i].client].push_back(i);
        std::erase_if(clients, [](const auto &steps) { return steps.empty(); });
        drop(clients);
        for (std::size_t i = 0; i < script_.steps.size(); ++i)
            if (kept_[i] && (script_.steps[i].request() || domains(i)))
                single.push_back({i});
        drop(single);
        return {subset(script_, kept_), runs_, runs_ < max_runs_};
    }

private:
    bool domains(std::size_t i) const
    {
        return std::holds_alternative<session::Domains>(script_.steps[i].what);
    }

    /// Leaves out as many of these groups of steps as can be.
    void drop(const std::vector<std::vector<std::size_t>> &groups)
    {
        const auto without = [&](const std::vector<std::size_t> &part) {
            std::vector<bool> keep = kept_;
            for (const auto &group : groups)
                for (const std::size_t i : group)
                    keep[i] = false;
            for (const std::size_t g : part)
                for (const std::size_t i : groups[g])
                    keep[i] = true;
            return keep;
        };
        const auto part = smallest_part(
            groups.size(),
            [&](const std::vector<std::size_t> &candidate) {
                ++runs_;
                const Script smaller = subset(script_, without(candidate));
                const bool still = fails_(smaller);
                if (still && tell_)
                    tell_(smaller.requests());
                return still;
            },
            [&] { return runs_ >= max_runs_; });
        kept_ = without(part);
    }

    const Script &script_;
    const std::function<bool(const Script &)> &fails_;
    std::uint64_t max_runs_, runs_ = 0;
    const std::function<void(std::size_t)> &tell_;
    std::vector<bool> kept_; // by step; what opens and closes follows from the rest
};

} // namespace

Minimized minimize(const Script &script, const std::function<bool(const Script &)> &fails,
                   std::uint64_t max_runs, const std::function<void(std::size_t)> &tell)
{
    return Shrink(script, fails, max_runs, tell).run();
}

} // namespace xsgit::replay
