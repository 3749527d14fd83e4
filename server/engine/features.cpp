// SPDX-License-Identifier: MIT
// GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA.
#include "server/engine/state_impl.hpp"

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

/// Digits, and whatever follows them, as atoi; but no minus, and not more than 32 bits hold (all ones is no limit).
std::optional<std::uint32_t> limit_of(std::string_view text)
{
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc::result_out_of_range || n >= 0xffffffff || text.starts_with('-'))
        return std::nullopt;
    return static_cast<std::uint32_t>(n);
}

} // namespace

Result<void> State::Impl::feature_request(Step &s)
{
    const auto args = arguments(s.request.payload, 2);
    const bool set = static_cast<MsgType>(s.type()) == MsgType::SetFeature;
    if (!set && s.request.payload.empty()) {
        s.reply(decimal(kFeatures));
        return {};
    }
    if (args.size() != (set ? 2 : 1))
        return fail(Error::Einval);
    if (!set && !s.client.privileged())
        return fail(Error::Eacces);
    const auto domid = parse_domid(args[0]);
    if (!domid)
        return fail(Error::Einval);
    const long features = set ? parse_atoi(args[1]) : 0;
    if (features < 0 || (static_cast<unsigned long>(features) & ~static_cast<unsigned long>(kFeatures)) != 0)
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
    const auto quota = quota_named(args[args.size() == most ? 1 : 0]);
    const auto value = set ? limit_of(args.back()) : std::optional<std::uint32_t>(0);
    if (!quota || !value)
        return fail(Error::Einval);
    if (args.size() == most) {
        const auto domid = parse_domid(args[0]);
        if (!domid)
            return fail(Error::Einval);
        Domain *d = known_domain(s, *domid);
        if (!d)
            return fail(Error::Enoent);
        limits = &d->quotas;
    }
    if (!set) {
        s.reply(decimal((*limits)[*quota]));
        return {};
    }
    (*limits)[*quota] = *value;
    s.ok();
    return {};
}

} // namespace xsgit::server
