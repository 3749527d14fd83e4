// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>

namespace xsgit::server::fuzz {
namespace {

struct Trees final : ChangeSink {
    std::map<std::string, Tree> at;
    void on_change(const Change &c) override { at[name(c.seq)] = c.after; }
    void on_conflict(const Conflict &) override {}
    void on_epoch(const NewEpoch &, const Tree &) override {}
    static std::string name(std::uint64_t seq)
    {
        return (std::to_string(seq) + std::string(20, '.')).substr(0, 20);
    }
};
Trees trees; // of the world at hand

} // namespace

void wrong(const char *what)
{
    std::fprintf(stderr, "wrong: %s\n", what);
    std::abort();
}

World::World() : state_((trees.at.clear(), &trees))
{
    event(EventKind::Start, 0, {});
    event(EventKind::Connect, 1, "socket 0 1 0 a");
    event(EventKind::Connect, 2, "socket 0 2 0 b");
    event(EventKind::Connect, 3, "ring 5 69 3");
    event(EventKind::Connect, 4, "ring 6 6a 3");
    for (const char *domid : {"5", "6"}) {
        const std::string home = std::string("/local/domain/") + domid;
        request(1, 12, 0, home + '\0');
        request(1, 14, 0, home + '\0' + "n" + domid + '\0');
    }
}

std::string World::facts_of(const Event &e) const
{
    const Needs n = state_.needs(e);
    std::string facts;
    if (n.control)
        return e.wire.size() % 2 ? "+text of the server" : "!EINVAL";
    for (const std::uint32_t domid : n.domids)
        add_fact(facts, {domid, domid < 8, domid + 100});
    if (n.attach && n.attach->domid < 8)
        add_attached(facts, 7);
    else if (n.attach)
        add_failed(facts, Error::Einval);
    return facts;
}

void World::step(Event &e)
{
    e.number = state_.event_number() + 1;
    e.wall_us = static_cast<std::int64_t>(e.number);
    out_.clear();
    state_.step(e, out_);
    for (const Output &o : out_.items())
        if (o.length > kMessageMax)
            wrong("a message is too long");
}

void World::event(EventKind kind, std::uint64_t conn, std::string_view facts)
{
    Event e;
    e.kind = kind;
    e.conn = conn;
    e.facts = facts;
    step(e);
}

void World::request(std::uint64_t conn, std::uint32_t type, std::uint32_t tx, std::string_view payload)
{
    payload = payload.substr(0, kPayloadMax);
    std::string wire(kHeaderSize, '\0');
    write_header({type, 1, tx, static_cast<std::uint32_t>(payload.size())}, wire.data());
    wire += payload;
    Event e;
    e.kind = EventKind::Request;
    e.conn = conn;
    e.request = ++requests_;
    e.wire = wire;
    bool known = false;
    for (const State::Connection &c : state_.connections())
        known = known || (c.id == conn && !c.ignored);
    if (!known)
        return;
    const std::string facts = facts_of(e);
    e.facts = facts;
    step(e);
    int replies = 0;
    for (const Output &o : out_.items())
        replies += !o.event;
    if (replies != 1)
        wrong("not exactly one reply");
}

void World::check()
{
    const std::string before = state_.describe();
    StreamWriter w;
    state_.save(w, [](std::uint64_t seq) { return Trees::name(seq); });
    const std::string stream = w.finish();
    State loaded;
    StreamReader reader(stream);
    for (bool first = true; auto r = reader.next(); first = false) {
        if (!loaded.load_record(*r, [](std::string_view id) { return trees.at.at(std::string(id)); }))
            wrong("an unknown record");
        if (first)
            loaded.load_tree(state_.tree());
    }
    // The loaded sums are computed from the tree, the others were kept by differences.
    if (loaded.describe() != before) {
        std::fprintf(stderr, "%s---\n%s", before.c_str(), loaded.describe().c_str());
        wrong("the loaded state differs");
    }
}

std::uint8_t Input::byte() noexcept
{
    if (rest_.empty())
        return 0;
    const auto b = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return b;
}

std::string_view Input::take(std::size_t n) noexcept
{
    const std::string_view s = rest_.substr(0, n);
    rest_.remove_prefix(s.size());
    return s;
}

} // namespace xsgit::server::fuzz
