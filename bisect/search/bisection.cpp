// SPDX-License-Identifier: MIT
#include "bisect/search/bisection.hpp"

#include "inspect/failure.hpp"
#include "inspect/text.hpp"
#include "xsgit/git/walk.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/core.h>
#include <unordered_map>

namespace xsgit::bisect {

namespace {

using inspect::kDiffers;
using inspect::ToolFailure;

struct OidHash {
    std::size_t operator()(const Oid &id) const noexcept
    {
        std::size_t h;
        std::memcpy(&h, id.bytes.data(), sizeof h);
        return h;
    }
};

std::vector<Oid> suspects_of(const Search &s, const std::function<Oid(std::size_t)> &at)
{
    std::vector<Oid> out{at(s.bad())};
    for (const std::size_t n : s.skipped())
        out.push_back(at(n));
    return out;
}

} // namespace

std::string commit_name(const Repository &repo, const Oid &commit)
{
    const auto info = repo.commit(commit);
    if (!info)
        return commit.hex().substr(0, 12);
    const Trailers t = parse_trailers(info->message);
    const std::string number = t.seq == 0    ? commit.hex().substr(0, 12)
                               : t.step == 0 ? fmt::format("#{}", t.seq)
                                             : fmt::format("#{}.{}", t.seq, t.step);
    return number + ' ' + inspect::printable(info->message.substr(0, info->message.find('\n')));
}

Bisection::Bisection(const inspect::RepositoryView &view, std::vector<LoggedVerdict> known, Hooks hooks)
    : view_(view), known_(std::move(known)), hooks_(std::move(hooks))
{
}

std::optional<Verdict> Bisection::known(const Oid &commit) const
{
    const auto it =
        std::find_if(known_.rbegin(), known_.rend(), [&](const auto &k) { return k.commit == commit; });
    return it == known_.rend() ? std::nullopt : std::optional(it->verdict);
}

Verdict Bisection::judge(const Oid &commit, std::size_t left)
{
    if (const auto v = known(commit))
        return *v;
    if (!hooks_.judge)
        throw ToolFailure(
            kDiffers,
            fmt::format("{} {} left to be judged, in about {} steps: give a condition or a command. "
                        "The next is {}",
                        left, left == 1 ? "commit is" : "commits are", std::bit_width(left),
                        commit_name(view_.repo(), commit)));
    const Verdict v = hooks_.judge(commit);
    known_.push_back({commit, v});
    ++judged_;
    if (hooks_.judged)
        hooks_.judged(known_.back(), left);
    return v;
}

void Bisection::must_be(const Oid &commit, Verdict wanted, const char *option)
{
    const Verdict v = judge(commit, 1);
    if (v == wanted)
        return;
    const std::string name = commit_name(view_.repo(), commit);
    if (v == Verdict::Skip)
        throw ToolFailure(kDiffers, fmt::format("{} {} cannot be judged: take another commit", option, name));
    throw ToolFailure(kDiffers,
                      fmt::format("{} {} is {}: the two ends must differ", option, name, verdict_name(v)));
}

void Bisection::contradicts(const Oid &commit, Verdict v) const
{
    throw ToolFailure(kDiffers,
                      fmt::format("{} is said to be {}, which contradicts what is said of others: newer "
                                  "commits are bad, older ones good. Take the wrong line out of the log",
                                  commit_name(view_.repo(), commit), verdict_name(v)));
}

std::size_t Bisection::place_of(FirstParents &history, const Oid &bad, const Oid &good)
{
    const auto place = history.find(good);
    if (place == 0)
        throw ToolFailure(kDiffers, "--good and --bad are the same commit");
    if (place)
        return *place;
    const std::string ends = fmt::format("--good {} is not before --bad {}", commit_name(view_.repo(), good),
                                         commit_name(view_.repo(), bad));
    if (FirstParents(view_.repo(), good).find(bad))
        throw ToolFailure(kDiffers,
                          ends + ", but after it: --bad names the newer one, and what is looked for is the "
                                 "change from good to bad. To find what repaired something, turn the "
                                 "condition round");
    throw ToolFailure(kDiffers, ends + " along first parents");
}

std::size_t Bisection::find_good(FirstParents &history)
{
    std::size_t newest_bad = 0;
    for (std::size_t step = 1;; step *= 2) {
        std::size_t n = newest_bad + step;
        const bool last = !history.at(n);
        if (last)
            n = history.read() - 1;
        const Verdict v = n == newest_bad ? Verdict::Bad : judge(*history.at(n), n);
        if (v == Verdict::Good)
            return n;
        if (last)
            throw ToolFailure(kDiffers,
                              fmt::format("no good commit is found: {}, {} {}; if it was good in "
                                          "between, name such a commit with --good",
                                          commit_name(view_.repo(), *history.at(n)),
                                          history.was_cut() ? "the oldest that is kept," : "the first one,",
                                          v == Verdict::Bad ? "is bad, too" : "cannot be judged"));
        if (v == Verdict::Bad)
            newest_bad = n;
    }
}

void Bisection::use_known(Search &s, const Row &at) const
{
    if (known_.empty())
        return;
    std::unordered_map<Oid, Verdict, OidHash> verdicts;
    for (const LoggedVerdict &k : known_)
        verdicts.insert_or_assign(k.commit, k.verdict);
    const std::size_t end = s.good();
    for (std::size_t n = s.bad() + 1; n < end; ++n) {
        const Oid commit = at(n);
        if (const auto it = verdicts.find(commit); it != verdicts.end() && !s.judge(n, it->second))
            contradicts(commit, it->second);
    }
}

Search Bisection::narrow(std::size_t good, const Row &at)
{
    Search s(0, good);
    use_known(s, at);
    while (const auto n = s.next()) {
        const Oid commit = at(*n);
        const Verdict v = judge(commit, s.left());
        if (!s.judge(*n, v))
            contradicts(commit, v);
    }
    return s;
}

Bisection::Found Bisection::run(const Oid &bad, const std::optional<Oid> &good)
{
    FirstParents history(view_.repo(), bad);
    if (good)
        place_of(history, bad, *good); // before anything is run
    must_be(bad, Verdict::Bad, "--bad");
    std::size_t place = 0;
    if (good) {
        must_be(*good, Verdict::Good, "--good");
        place = place_of(history, bad, *good);
    } else {
        place = find_good(history);
    }
    const Row at = [&](std::size_t n) { return *history.at(n); };
    const Search s = narrow(place, at);
    Found found;
    found.suspects = suspects_of(s, at);
    found.good = at(s.good());
    if (found.suspects.size() == 1)
        descend(found);
    found.judged = judged_;
    return found;
}

void Bisection::descend(Found &found)
{
    const CommitInfo merge = view_.repo().commit(found.suspects.front()).value();
    const auto steps = side_commits(view_.repo(), merge);
    if (steps.empty() || steps.front().info.parents.empty())
        return;
    const Oid fork = steps.front().info.parents.front();
    const std::size_t n = steps.size();
    const auto verdict = [&](const Oid &commit, const Oid &tree) {
        return tree == merge.tree ? Verdict::Bad : commit == found.good ? Verdict::Good : judge(commit, n);
    };
    const auto fork_info = view_.repo().commit(fork);
    if (!fork_info || verdict(fork, fork_info->tree) != Verdict::Good ||
        verdict(steps.back().info.id, steps.back().info.tree) != Verdict::Bad) {
        found.only_merged = true;
        return;
    }
    const Row at = [&](std::size_t place) { return place == n ? fork : steps[n - 1 - place].info.id; };
    const Search s = narrow(n, at);
    found.transaction = merge.id;
    found.suspects = suspects_of(s, at);
    if (s.good() != n)
        found.good = at(s.good());
}

} // namespace xsgit::bisect
