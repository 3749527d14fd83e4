// SPDX-License-Identifier: MIT
#include "server/daemon/trace_objects.hpp"

#include "server/engine/wire.hpp"

#include <functional>

namespace xsgit::server {
namespace {

constexpr std::string_view kMadeWatch = "CREATE watch", kLostWatch = "DESTROY watch";
constexpr std::string_view kMadeTransaction = "CREATE transaction", kLostTransaction = "DESTROY transaction";

/// Of the path and the token, the first two strings: a depth may follow.
std::uint64_t watch_key(std::string_view payload)
{
    const std::size_t token = payload.find('\0') + 1; // 0 if there is none: an error, nothing comes of it
    const std::size_t end = payload.find('\0', token);
    return std::hash<std::string_view>()(payload.substr(0, end));
}

} // namespace

void TraceObjects::request(std::uint64_t conn, std::string_view bytes)
{
    const Header h = read_header(bytes.data());
    asked_ = {conn, h.type, h.tx_id, 0};
    const auto type = static_cast<MsgType>(h.type);
    if (type == MsgType::Watch || type == MsgType::Unwatch)
        asked_.watch = watch_key(bytes.substr(kHeaderSize));
}

std::vector<TraceObjects::Change> TraceObjects::output(std::uint64_t conn, std::string_view bytes)
{
    const Header h = read_header(bytes.data());
    const bool error = h.type == static_cast<std::uint32_t>(MsgType::Error);
    if (asked_.conn != conn || (!error && h.type != asked_.type))
        return {};
    const Asked asked = asked_;
    asked_ = {};
    Of &of = of_[conn];
    const auto made = [&](auto &map, std::uint64_t key, std::string_view what) {
        return std::vector<Change>{{what, map[key] = ++last_}};
    };
    const auto lost = [&](auto &map, std::uint64_t key, std::string_view what) {
        const auto node = map.extract(key);
        return node.empty() ? std::vector<Change>() : std::vector<Change>{{what, node.mapped()}};
    };
    const std::string_view payload = bytes.substr(kHeaderSize);
    const auto type = static_cast<MsgType>(asked.type);
    // An end that fails is an end, unless the request was wrong.
    if (type == MsgType::TransactionEnd && !(error && payload.starts_with("EINVAL")))
        return lost(of.transactions, asked.tx, kLostTransaction);
    if (error)
        return {};
    if (type == MsgType::TransactionStart)
        return made(of.transactions, static_cast<std::uint64_t>(parse_atoi(payload)), kMadeTransaction);
    if (type == MsgType::Watch)
        return made(of.watches, asked.watch, kMadeWatch);
    if (type == MsgType::Unwatch)
        return lost(of.watches, asked.watch, kLostWatch);
    return type == MsgType::ResetWatches ? close(conn) : std::vector<Change>();
}

std::vector<TraceObjects::Change> TraceObjects::close(std::uint64_t conn)
{
    std::vector<Change> out;
    const auto node = of_.extract(conn);
    if (node.empty())
        return out;
    for (const auto &[key, number] : node.mapped().watches)
        out.push_back({kLostWatch, number});
    for (const auto &[id, number] : node.mapped().transactions)
        out.push_back({kLostTransaction, number});
    return out;
}

void TraceObjects::clear()
{
    of_.clear();
    asked_ = {};
}

} // namespace xsgit::server
