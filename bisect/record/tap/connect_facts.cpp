// SPDX-License-Identifier: MIT
// Words between blanks; the last is a name, which may have blanks itself.
#include "bisect/record/tap/connect_facts.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace xsgit::record {

namespace {

std::string_view take_word(std::string_view &rest)
{
    const std::size_t n = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, n);
    rest.remove_prefix(std::min(n + 1, rest.size()));
    return word;
}

std::optional<std::uint32_t> number(std::string_view word)
{
    std::uint32_t n = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    return error == std::errc() && end == word.data() + word.size() ? std::optional(n) : std::nullopt;
}

} // namespace

session::Opened opened_ring(std::uint64_t conn, std::uint32_t domid)
{
    session::Opened o;
    o.conn = conn;
    o.transport = session::Transport::Ring;
    o.domid = domid;
    return o;
}

session::Opened opened_by(const Event &connect)
{
    std::string_view rest = connect.facts;
    const bool ring = take_word(rest) == "ring";
    const std::uint32_t domid = number(take_word(rest)).value_or(0);
    if (ring)
        return opened_ring(connect.conn, domid);
    session::Opened o;
    o.conn = connect.conn;
    o.transport = session::Transport::Socket;
    o.domid = domid;
    o.pid = number(take_word(rest));
    o.uid = number(take_word(rest));
    o.comm = rest.substr(0, session::kWordsMax);
    return o;
}

session::Opened opened_before(const server::State::Connection &c)
{
    session::Opened o = opened_ring(c.id, c.domid);
    o.before = true;
    if (c.ring)
        return o;
    o.transport = session::Transport::Socket;
    std::string_view rest = c.peer; // "pid 123 xenstore-write"
    if (take_word(rest) == "pid") {
        o.pid = number(take_word(rest));
        o.comm = rest.substr(0, session::kWordsMax);
    }
    return o;
}

} // namespace xsgit::record
