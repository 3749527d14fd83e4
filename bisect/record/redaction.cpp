// SPDX-License-Identifier: MIT
// Fillers instead of values.
#include "bisect/record/redaction.hpp"

#include "server/engine/wire.hpp"
#include "xsgit/base/path.hpp"

#include <algorithm>

namespace xsgit::record {

namespace {

constexpr char kFiller = '*';
constexpr std::size_t kUnansweredMax = 65536;

bool is(std::uint32_t type, server::MsgType t) noexcept { return type == static_cast<std::uint32_t>(t); }

bool fill(std::string &payload, std::size_t from)
{
    std::fill(payload.begin() + static_cast<std::ptrdiff_t>(from), payload.end(), kFiller);
    return from < payload.size();
}

} // namespace

bool glob_matches(std::string_view pattern, std::string_view text) noexcept
{
    std::size_t p = 0, t = 0, star = pattern.npos, from = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != pattern.npos) { // the last star takes one more
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool Redaction::hides(std::string_view text, std::optional<std::uint32_t> domid) const
{
    if (globs_.empty())
        return false;
    const auto path = Path::parse(text, domid.value_or(0), true);
    if (!path || (!domid && !text.starts_with('/') && !text.starts_with('@')))
        return true;
    return std::any_of(globs_.begin(), globs_.end(),
                       [&](const std::string &g) { return glob_matches(g, path->str()); });
}

std::string Redaction::shown(std::string_view path, std::string_view value) const
{
    return hides(path, 0) ? std::string(value.size(), kFiller) : std::string(value);
}

bool ConnectionRedaction::request(std::uint32_t type, std::string &payload)
{
    if (!rules_->active())
        return false;
    const std::size_t nul = payload.find('\0');
    const std::string_view path = std::string_view(payload).substr(0, nul);
    const bool read = is(type, server::MsgType::Read), write = is(type, server::MsgType::Write);
    // What has no path at all is none that was meant to be seen.
    const bool hidden = (write && nul == payload.npos) || ((read || write) && rules_->hides(path, domid_));
    if (unanswered_.size() >= kUnansweredMax) {
        lost_count_ = true;
        unanswered_.clear();
    }
    if (!lost_count_)
        unanswered_.push_back(read && hidden);
    return write && hidden && fill(payload, nul == payload.npos ? 0 : nul + 1);
}

bool ConnectionRedaction::reply(std::uint32_t type, std::string &payload)
{
    if (!rules_->active())
        return false;
    const bool none = !lost_count_ && unanswered_.empty(); // of a request that nobody saw
    const bool hidden = lost_count_ || none || unanswered_.front();
    if (!lost_count_ && !none)
        unanswered_.pop_front();
    return is(type, server::MsgType::Read) && hidden && fill(payload, 0);
}

} // namespace xsgit::record
