// SPDX-License-Identifier: MIT
// The JSON Lines rendering of an event.
#include "xsgit/journal/text.hpp"

#include "xsgit/base/escape.hpp"
#include "xsgit/base/limits.hpp"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

namespace xsgit {

namespace {

constexpr std::array<std::string_view, 27> kRequests = {"CONTROL",
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
                                                        "" /* RESTRICT is no more */,
                                                        "RESET_WATCHES",
                                                        "DIRECTORY_PART",
                                                        "GET_FEATURE",
                                                        "SET_FEATURE",
                                                        "GET_QUOTA",
                                                        "SET_QUOTA"};

std::uint32_t word(std::string_view wire, std::size_t offset) noexcept
{
    std::uint32_t v;
    std::memcpy(&v, wire.data() + offset, sizeof v);
    return v;
}

} // namespace

std::string_view kind_name(EventKind k) noexcept
{
    switch (k) {
    case EventKind::Invalid:
        break;
    case EventKind::Start:
        return "start";
    case EventKind::Connect:
        return "connect";
    case EventKind::Close:
        return "close";
    case EventKind::Request:
        return "request";
    case EventKind::Poison:
        return "poison";
    case EventKind::Epoch:
        return "epoch";
    case EventKind::Restart:
        return "restart";
    case EventKind::Domains:
        return "domains";
    case EventKind::Settings:
        return "settings";
    case EventKind::Ignore:
        return "ignore";
    }
    return "invalid";
}

std::string_view request_name(std::uint32_t type) noexcept
{
    return type < kRequests.size() ? kRequests[type] : std::string_view();
}

std::string json_line(const Event &e)
{
    nlohmann::ordered_json j;
    j["n"] = e.number;
    j["kind"] = kind_name(e.kind);
    j["mono"] = e.mono_us;
    j["wall"] = e.wall_us;
    j["conn"] = e.conn;
    j["req"] = e.request;
    j["facts"] = escape(e.facts);
    if (e.kind == EventKind::Request || e.kind == EventKind::Poison) {
        if (e.wire.size() >= kHeaderSize) {
            const std::uint32_t type = word(e.wire, 0);
            const std::string_view name = request_name(type);
            j["type"] = name.empty() ? std::to_string(type) : std::string(name);
            j["tx"] = word(e.wire, 8);
            j["payload"] = escape(e.wire.substr(kHeaderSize));
        } else {
            j["wire"] = escape(e.wire);
        }
    }
    return j.dump();
}

} // namespace xsgit
