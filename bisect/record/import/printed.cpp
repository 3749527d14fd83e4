// SPDX-License-Identifier: MIT
// Which blanks were NULs follows from the type.
#include "bisect/record/import/printed.hpp"

#include "server/engine/wire.hpp"

#include <algorithm>
#include <ctime>
#include <iterator>

namespace xsgit::record {

namespace {

using server::MsgType;

/// Digits only.
std::optional<int> number(std::string_view text)
{
    int v = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        v = v * 10 + (c - '0');
    }
    return v;
}

/// Requests whose payload is one string.
bool takes_one(std::uint32_t type)
{
    static constexpr MsgType types[] = {
        MsgType::Directory,          MsgType::Read,           MsgType::GetPerms,
        MsgType::TransactionStart,   MsgType::TransactionEnd, MsgType::Release,
        MsgType::GetDomainPath,      MsgType::Mkdir,          MsgType::Rm,
        MsgType::IsDomainIntroduced, MsgType::Resume};
    return std::find(std::begin(types), std::end(types), static_cast<MsgType>(type)) != std::end(types);
}

} // namespace

std::optional<std::uint32_t> type_named(std::string_view name)
{
    if (name == "DEBUG")
        return 0;
    for (std::uint32_t type = 0; type <= static_cast<std::uint32_t>(MsgType::SetQuota); ++type)
        if (server::type_name(type) == name && name != "UNKNOWN")
            return type;
    return std::nullopt;
}

std::string payload_printed(std::uint32_t type, From from, std::string_view text)
{
    std::string payload(text);
    const auto is = [&](MsgType t) { return type == static_cast<std::uint32_t>(t); };
    const auto nul_at = [&](std::size_t at) {
        if (at < payload.size() && payload[at] == ' ')
            payload[at] = '\0';
    };
    if (from == From::Daemon && is(MsgType::Read))
        return payload;
    if (from == From::Client && is(MsgType::Write)) {
        nul_at(payload.find(' '));
    } else if ((from == From::Client && (is(MsgType::Watch) || is(MsgType::Unwatch))) ||
               is(MsgType::WatchEvent)) {
        nul_at(payload.find(' ')); // paths have no blanks, tokens may
        nul_at(payload.size() - 1);
    } else if (from == From::Daemon ? is(MsgType::Control) : takes_one(type)) {
        nul_at(payload.size() - 1);
    } else {
        std::replace(payload.begin(), payload.end(), ' ', '\0');
    }
    return payload;
}

std::optional<std::uint64_t> seconds_of(std::string_view date, std::string_view time, bool utc)
{
    if (date.size() != 8 || time.size() != 8 || time[2] != ':' || time[5] != ':')
        return std::nullopt;
    std::tm tm{};
    const auto part = [](std::string_view text, std::size_t at, std::size_t n, int &out) {
        const auto v = number(text.substr(at, n));
        out = v.value_or(0);
        return v.has_value();
    };
    if (!part(date, 0, 4, tm.tm_year) || !part(date, 4, 2, tm.tm_mon) || !part(date, 6, 2, tm.tm_mday) ||
        !part(time, 0, 2, tm.tm_hour) || !part(time, 3, 2, tm.tm_min) || !part(time, 6, 2, tm.tm_sec))
        return std::nullopt;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_isdst = -1;
    const std::time_t t = utc ? timegm(&tm) : mktime(&tm);
    return t < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(t));
}

} // namespace xsgit::record
