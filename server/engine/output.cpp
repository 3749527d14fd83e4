// SPDX-License-Identifier: MIT
#include "server/engine/output.hpp"

#include "server/engine/wire.hpp"

#include <cassert>
#include <xxhash.h>

namespace xsgit::server {

void Outputs::clear() noexcept
{
    items_.clear();
    orders_.clear();
    refusals_.clear();
    data_.clear();
}

std::string_view Outputs::bytes(const Output &o) const noexcept
{
    return std::string_view(data_).substr(o.offset, o.length);
}

void Outputs::add(std::uint64_t conn, std::uint32_t type, std::uint32_t req_id, std::uint32_t tx_id,
                  std::string_view a, std::string_view b, bool event)
{
    const std::size_t len = a.size() + b.size() + (event ? 2 : 0);
    assert(len <= kPayloadMax);
    Output o;
    o.conn = conn;
    o.offset = static_cast<std::uint32_t>(data_.size());
    o.length = static_cast<std::uint32_t>(kHeaderSize + len);
    o.event = event;
    char header[kHeaderSize];
    write_header(Header{type, req_id, tx_id, static_cast<std::uint32_t>(len)}, header);
    data_.append(header, kHeaderSize);
    data_.append(a);
    if (event)
        data_.push_back('\0');
    data_.append(b);
    if (event)
        data_.push_back('\0');
    items_.push_back(o);
}

void Outputs::reply(std::uint64_t conn, std::uint32_t type, std::uint32_t req_id, std::uint32_t tx_id,
                    std::string_view payload)
{
    add(conn, type, req_id, tx_id, payload, {}, false);
}

void Outputs::error(std::uint64_t conn, std::uint32_t req_id, std::uint32_t tx_id, Error e)
{
    add(conn, static_cast<std::uint32_t>(MsgType::Error), req_id, tx_id, wire_name(e),
        std::string_view("\0", 1), false);
}

void Outputs::event(std::uint64_t conn, std::string_view path, std::string_view token)
{
    add(conn, static_cast<std::uint32_t>(MsgType::WatchEvent), 0, 0, path, token, true);
}

std::uint64_t Outputs::hash() const noexcept
{
    std::uint64_t h = 0;
    for (const Order &o : orders_) {
        const std::uint64_t words[] = {static_cast<std::uint64_t>(o.kind), o.domid, o.conn, o.features};
        h = XXH3_64bits_withSeed(words, sizeof words, h);
    }
    for (const Output &o : items_)
        h = XXH3_64bits_withSeed(data_.data() + o.offset, o.length, h ^ o.conn);
    return h;
}

} // namespace xsgit::server
