// SPDX-License-Identifier: MIT
#include "bisect/search/search.hpp"

namespace xsgit::bisect {

namespace {

/// 1/2, 1/4, 3/4, 1/8, 5/8, … of `n`, for k = 1, 2, …: the digits of k in base 2, turned round behind the point.
std::size_t fraction(std::size_t n, std::size_t k)
{
    double value = 0, unit = 0.5;
    for (; k != 0; k /= 2, unit /= 2)
        if (k % 2 != 0)
            value += unit;
    return static_cast<std::size_t>(value * static_cast<double>(n));
}

} // namespace

std::optional<std::size_t> Search::next() const
{
    if (left() == 0)
        return std::nullopt;
    const std::size_t between = good_ - bad_ - 1;
    for (std::size_t k = 1; k <= between && k <= 2 * skipped_.size() + 1; ++k)
        if (const std::size_t place = bad_ + 1 + fraction(between, k); !skipped_.contains(place))
            return place;
    std::size_t place = bad_ + 1;
    while (skipped_.contains(place))
        ++place;
    return place;
}

bool Search::judge(std::size_t place, Verdict v)
{
    if (place <= bad_)
        return v != Verdict::Good;
    if (place >= good_)
        return v != Verdict::Bad;
    if (v == Verdict::Skip) {
        skipped_.insert(place);
        return true;
    }
    if (v == Verdict::Bad) {
        bad_ = place;
        skipped_.erase(skipped_.begin(), skipped_.upper_bound(place));
    } else {
        good_ = place;
        skipped_.erase(skipped_.lower_bound(place), skipped_.end());
    }
    return true;
}

} // namespace xsgit::bisect
