// SPDX-License-Identifier: MIT
// One list of fields per record, used for both directions.
#include "xsgit/session/codec.hpp"

#include <fmt/core.h>
#include <limits>

namespace xsgit::session {

namespace {

/// Writes what it is shown.
class Put {
public:
    explicit Put(std::string &out) : out_(out) {}
    void number(std::uint64_t v, std::uint64_t max)
    {
        if (v > max)
            throw BadBody(fmt::format("a number {} where {} is the most", v, max));
        put_varint(out_, v);
    }
    void text(const std::string &s, std::size_t max)
    {
        if (s.size() > max)
            throw BadBody(fmt::format("a text of {} bytes where {} are the most", s.size(), max));
        put_varint(out_, s.size());
        out_ += s;
    }
    void word(std::uint32_t v) { put_varint(out_, v); }
    void wide(std::uint64_t v) { put_varint(out_, v); }
    void flag(bool v) { put_varint(out_, v); }
    void maybe(const std::optional<std::uint32_t> &v) { put_varint(out_, v ? std::uint64_t{*v} + 1 : 0); }
    void transport(Transport v) { put_varint(out_, static_cast<std::uint8_t>(v)); }

private:
    std::string &out_;
};

/// Fills what it is shown.
class Take {
public:
    explicit Take(std::string_view bytes) : rest_(bytes) {}
    void number(std::uint64_t &v, std::uint64_t max)
    {
        v = take_varint(rest_);
        if (v > max)
            throw BadBody(fmt::format("a number {} where {} is the most", v, max));
    }
    void text(std::string &s, std::size_t max)
    {
        const std::uint64_t n = take_varint(rest_);
        if (n > max)
            throw BadBody(fmt::format("a text of {} bytes where {} are the most", n, max));
        if (n > rest_.size())
            throw BadBody(fmt::format("a text of {} bytes where only {} are left", n, rest_.size()));
        s = rest_.substr(0, static_cast<std::size_t>(n));
        rest_.remove_prefix(static_cast<std::size_t>(n));
    }
    void word(std::uint32_t &v)
    {
        std::uint64_t wide = 0;
        number(wide, std::numeric_limits<std::uint32_t>::max());
        v = static_cast<std::uint32_t>(wide);
    }
    void wide(std::uint64_t &v) { v = take_varint(rest_); }
    void flag(bool &v)
    {
        std::uint64_t n = 0;
        number(n, 1);
        v = n != 0;
    }
    void maybe(std::optional<std::uint32_t> &v)
    {
        std::uint64_t n = 0;
        number(n, std::uint64_t{1} << 32);
        v = n == 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(n - 1));
    }
    void transport(Transport &v)
    {
        std::uint64_t n = 0;
        number(n, static_cast<std::uint8_t>(Transport::Ring));
        v = static_cast<Transport>(n);
    }

private:
    std::string_view rest_;
};

// The fields of each body in their order; B is const when they are written.
template <class F, class B>
void message(F &f, B &m)
{
    f.wide(m.conn);
    f.word(m.type);
    f.word(m.req_id);
    f.word(m.tx_id);
    f.flag(m.redacted);
    f.text(m.payload, kPathTextMax);
}

template <class F, class B>
void fields(F &f, B &b)
{
    using T = std::remove_const_t<B>;
    if constexpr (std::is_same_v<T, Meta>) {
        f.wide(b.start_us);
        f.text(b.source, kWordsMax);
        f.text(b.daemon, kWordsMax);
    } else if constexpr (std::is_same_v<T, Opened>) {
        f.wide(b.conn);
        f.flag(b.before);
        f.transport(b.transport);
        f.maybe(b.domid);
        f.maybe(b.pid);
        f.maybe(b.uid);
        f.text(b.comm, kWordsMax);
    } else if constexpr (std::is_same_v<T, Closed>) {
        f.wide(b.conn);
    } else if constexpr (std::is_same_v<T, Request>) {
        message(f, b);
        f.text(b.facts, kFactsMax);
    } else if constexpr (std::is_base_of_v<Message, T>) {
        message(f, b);
    } else if constexpr (std::is_same_v<T, Dropped>) {
        f.wide(b.messages);
    } else if constexpr (std::is_same_v<T, Domains>) {
        f.text(b.news, kFactsMax);
    } else if constexpr (std::is_same_v<T, Start>) {
        f.flag(b.known);
        f.wide(b.nodes);
    } else if constexpr (std::is_same_v<T, Node>) {
        f.text(b.path, kPathTextMax);
        f.text(b.perms, kPathTextMax);
        f.text(b.value, kPathTextMax);
    } else if constexpr (std::is_same_v<T, Watch>) {
        f.wide(b.conn);
        f.maybe(b.depth);
        f.text(b.path, kPathTextMax);
        f.text(b.token, kPathTextMax);
    } else if constexpr (std::is_same_v<T, Note>) {
        f.text(b.text, kWordsMax);
    } else {
        static_assert(std::is_same_v<T, End>);
        f.text(b.reason, kWordsMax);
    }
}

template <class T>
Decoded decode_as(std::string_view bytes)
{
    Decoded d;
    T body;
    Take take(bytes);
    take.number(d.delta_us, kTimeMax);
    fields(take, body);
    d.body = std::move(body);
    return d;
}

} // namespace

Kind kind_of(const Body &body) noexcept
{
    static constexpr Kind kinds[] = {Kind::Meta,  Kind::Opened,  Kind::Closed,  Kind::Request, Kind::Reply,
                                     Kind::Event, Kind::Dropped, Kind::Domains, Kind::Start,   Kind::Node,
                                     Kind::Watch, Kind::Note,    Kind::End};
    static_assert(std::size(kinds) == std::variant_size_v<Body>);
    return kinds[body.index()];
}

std::string encode(const Body &body, std::uint64_t delta_us)
{
    std::string out;
    Put put(out);
    put.number(delta_us, kTimeMax);
    std::visit([&](const auto &b) { fields(put, b); }, body);
    return out;
}

Decoded decode(std::uint8_t kind, std::string_view bytes)
{
    switch (static_cast<Kind>(kind)) {
    case Kind::Meta:
        return decode_as<Meta>(bytes);
    case Kind::Opened:
        return decode_as<Opened>(bytes);
    case Kind::Closed:
        return decode_as<Closed>(bytes);
    case Kind::Request:
        return decode_as<Request>(bytes);
    case Kind::Reply:
        return decode_as<Reply>(bytes);
    case Kind::Event:
        return decode_as<Event>(bytes);
    case Kind::Dropped:
        return decode_as<Dropped>(bytes);
    case Kind::Domains:
        return decode_as<Domains>(bytes);
    case Kind::Start:
        return decode_as<Start>(bytes);
    case Kind::Node:
        return decode_as<Node>(bytes);
    case Kind::Watch:
        return decode_as<Watch>(bytes);
    case Kind::Note:
        return decode_as<Note>(bytes);
    case Kind::End:
        return decode_as<End>(bytes);
    }
    Decoded d;
    Take(bytes).number(d.delta_us, kTimeMax);
    return d;
}

std::optional<std::uint64_t> connection_of(const Body &body) noexcept
{
    return std::visit(
        [](const auto &b) -> std::optional<std::uint64_t> {
            if constexpr (requires { b.conn; })
                return b.conn;
            else
                return std::nullopt;
        },
        body);
}

void put_varint(std::string &out, std::uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        out += static_cast<char>(0x80 | (v & 0x7f));
    out += static_cast<char>(v);
}

std::uint64_t take_varint(std::string_view &bytes)
{
    std::uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (bytes.empty())
            throw BadBody("it ends in the middle of a number");
        const auto b = static_cast<std::uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        if (shift == 63 && b > 1)
            throw BadBody("a number of more than 64 bits");
        v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
}

} // namespace xsgit::session
