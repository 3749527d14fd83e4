// SPDX-License-Identifier: MIT
#include "server/engine/wire.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

namespace xsgit::server {

std::string_view type_name(std::uint32_t type) noexcept
{
    static constexpr std::array<std::string_view, 27> names = {"CONTROL",
                                                               "DIRECTORY",
                                                               "READ",
                                                               "GET_PERMS",
                                                               "WATCH",
                                                               "UNWATCH",
                                                               "TRANSACTION_START",
                                                               "TRANSACTION_END",
                                                               "INTRODUCE",
                                                               "RELEASE",
                                                               "GET_DOMAIN_PATH",
                                                               "WRITE",
                                                               "MKDIR",
                                                               "RM",
                                                               "SET_PERMS",
                                                               "WATCH_EVENT",
                                                               "ERROR",
                                                               "IS_DOMAIN_INTRODUCED",
                                                               "RESUME",
                                                               "SET_TARGET",
                                                               "UNKNOWN",
                                                               "RESET_WATCHES",
                                                               "DIRECTORY_PART",
                                                               "GET_FEATURE",
                                                               "SET_FEATURE",
                                                               "GET_QUOTA",
                                                               "SET_QUOTA"};
    return type < names.size() ? names[type] : "UNKNOWN";
}

Header read_header(const char *bytes) noexcept
{
    Header h;
    static_assert(sizeof h == kHeaderSize);
    std::memcpy(&h, bytes, sizeof h);
    return h;
}

void write_header(const Header &h, char *out) noexcept { std::memcpy(out, &h, sizeof h); }

std::optional<Request> read_request(std::string_view wire) noexcept
{
    if (wire.size() < kHeaderSize)
        return std::nullopt;
    Request r{read_header(wire.data()), wire.substr(kHeaderSize)};
    if (r.header.len != r.payload.size() || r.payload.size() > kPayloadMax)
        return std::nullopt;
    return r;
}

std::optional<std::string_view> one_argument(std::string_view payload) noexcept
{
    if (payload.empty() || payload.find('\0') != payload.size() - 1)
        return std::nullopt;
    return payload.substr(0, payload.size() - 1);
}

std::vector<std::string_view> arguments(std::string_view payload, std::size_t max)
{
    std::vector<std::string_view> out;
    while (out.size() <= max) {
        const std::size_t n = payload.find('\0');
        if (n == std::string_view::npos)
            break;
        out.push_back(payload.substr(0, n));
        payload.remove_prefix(n + 1);
    }
    return out;
}

std::size_t count_strings(std::string_view payload) noexcept
{
    return static_cast<std::size_t>(std::count(payload.begin(), payload.end(), '\0'));
}

std::optional<std::uint32_t> parse_domid(std::string_view text) noexcept
{
    std::uint32_t v = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        v = v * 10 + static_cast<std::uint32_t>(c - '0');
        if (v > 65535)
            return std::nullopt;
    }
    return v;
}

long parse_atoi(std::string_view text) noexcept
{
    std::size_t i = 0;
    while (i < text.size() && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r')))
        ++i;
    const bool minus = i < text.size() && text[i] == '-';
    if (i < text.size() && (text[i] == '-' || text[i] == '+'))
        ++i;
    long v = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i)
        v = std::min<long>(v * 10 + (text[i] - '0'), INT_MAX);
    return minus ? -v : v;
}

} // namespace xsgit::server
