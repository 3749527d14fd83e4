// SPDX-License-Identifier: MIT
// GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA.
#include "server/engine/state_impl.hpp"

#include <algorithm>
#include <charconv>

namespace xsgit::server {
namespace {

std::string decimal(std::uint64_t n)
{
    std::string text = std::to_string(n);
    text.push_back('\0');
    return text;
}

std::string all_names()
{
    std::string text;
    for (std::size_t i = 0; i < kQuotas; ++i)
        text.append(i == 0 ? "" : " ").append(quota_name(quota_at(i)));
    text.push_back('\0');
    return text;
}

/// As atoi: blanks, a plus, digits, whatever follows them. But no minus, where atoi would wrap around, and not more
/// than 32 bits hold (all ones is no limit).
std::optional<std::uint32_t> limit_of(std::string_view text)
{
    text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
    if (text.starts_with('-'))
        return std::nullopt;
    if (text.starts_with('+'))
        text.remove_prefix(1);
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc::result_out_of_range || n >= 0xffffffff)
        return std::nullopt;
    return static_cast<std::uint32_t>(n);
}

} // namespace

// The checks stand in the order in which the C daemon (4.22) makes them.

Result<void> State::Impl::feature_request(Step &s)
{
    const auto args = arguments(s.request.payload, 2);
    const bool set = static_cast<MsgType>(s.type()) == MsgType::SetFeature;
    if (!set && args.empty()) { // a domain asks for its own
        s.reply(decimal(s.client.ring ? domains.at(s.client.domid).features : kFeatures));
        return {};
    }
    if (!set && !s.client.privileged())
        return fail(Error::Eacces);
    if (args.size() != (set ? 2 : 1))
        return fail(Error::Einval);
    const auto domid = parse_domid(args[0]);
    if (!domid)
        return fail(Error::Einval);
    Domain *d = known_domain(s, *domid);
    if (!d)
        return fail(Error::Enoent);
    if (!set) {
        s.reply(decimal(d->features));
        return {};
    }
    if (d->introduced)
        return fail(Error::Ebusy);
    const long features = parse_atoi(args[1]);
    if (features < 0 || (static_cast<unsigned long>(features) & ~static_cast<unsigned long>(kFeatures)) != 0)
        return fail(Error::Einval);
    d->features = static_cast<std::uint32_t>(features);
    s.ok();
    return {};
}

Result<void> State::Impl::quota_request(Step &s)
{
    const auto args = arguments(s.request.payload, 3);
    const bool set = static_cast<MsgType>(s.type()) == MsgType::SetQuota;
    if (!set && args.empty()) {
        s.reply(all_names());
        return {};
    }
    const std::size_t most = set ? 3 : 2;
    if (args.size() > most || args.size() + 1 < most)
        return fail(Error::Einval);
    Quotas *limits = &quotas;
    const bool of_domain = args.size() == most;
    if (of_domain) {
        const auto domid = parse_domid(args[0]);
        if (!domid)
            return fail(Error::Einval);
        Domain *d = known_domain(s, *domid);
        if (!d)
            return fail(Error::Enoent);
        limits = &d->quotas;
    }
    const auto quota = quota_named(args[of_domain ? 1 : 0]);
    const auto value = set ? limit_of(args.back()) : std::optional<std::uint32_t>(0);
    if (!quota || !value)
        return fail(Error::Einval);
    if (!set) {
        s.reply(decimal((*limits)[*quota]));
        return {};
    }
    (*limits)[*quota] = *value;
    s.ok();
    return {};
}

} // namespace xsgit::server
