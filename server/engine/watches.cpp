// SPDX-License-Identifier: MIT
// Registration of watches, and which events an operation fires at whom.
#include "server/engine/state_impl.hpp"

#include <algorithm>

namespace xsgit::server {
namespace {

/// Where a watch stands: like any path, but "@name" is allowed too.
Result<Path> watch_path(std::string_view text, const Client &c) { return Path::parse(text, c.domid, true); }

bool is_relative(std::string_view text) { return !text.empty() && text[0] != '/' && text[0] != '@'; }

constexpr long kDepthMost = 0xfffe;

std::size_t home_length(const Client &c)
{
    return std::string_view("/local/domain//").size() + std::to_string(c.domid).size();
}

} // namespace

std::size_t watch_cost(std::string_view given, std::string_view token, const Path &path)
{
    // Two strings, as in the C daemon; and where nobody watches for a purpose, what each level takes in the index.
    constexpr std::size_t kUsualLevels = 32, kLevel = 448;
    const std::size_t levels = path.is_special() ? 0 : path.depth();
    return given.size() + token.size() + 2 + (levels > kUsualLevels ? (levels - kUsualLevels) * kLevel : 0);
}

Result<void> State::Impl::add_watch(Step &s)
{
    const auto args = arguments(s.request.payload, 3);
    const Asker who = asker(s.client, nullptr);
    const bool depth_known = !s.client.ring || (domains.at(s.client.domid).features & kFeatureDepth);
    if (args.size() < 2 || args.size() > (depth_known ? 3 : 2))
        return fail(Error::Einval);
    Watch w;
    if (args.size() == 3) {
        const long depth = parse_atoi(args[2]);
        if (depth < 0)
            return fail(Error::Einval);
        // More than any path has levels; and as much as a checkpoint has room for.
        w.depth = static_cast<int>(std::min(depth, kDepthMost));
    }
    Result<Path> path = watch_path(args[0], s.client);
    if (!path)
        return fail(Error::Einval);
    if (path_too_long(*path, who)) {
        refused(s.client, Quota::PathMax, s.out);
        return fail(Error::Einval);
    }
    if (watches.find(*path, s.client.id, args[1]))
        return fail(Error::Eexist);
    const std::size_t bytes = watch_cost(args[0], args[1], *path);
    if (who.quotas) {
        const auto memory = static_cast<std::uint64_t>(who.owned.bytes + who.memory) + bytes;
        const bool many = who.quotas->exceeded(Quota::Watches, s.client.watches.size() + 1);
        if (many || who.quotas->exceeded(Quota::Memory, memory)) {
            refused(s.client, many ? Quota::Watches : Quota::Memory, s.out);
            return fail(many ? Error::Enospc : Error::Enomem);
        }
    }
    if (s.client.watches.size() >= kWatchesPerConnection) {
        refused(s.client, FixedLimit{"watches", kWatchesPerConnection}, s.out);
        return fail(Error::Enospc);
    }
    s.client.watch_bytes += bytes;
    w.conn = s.client.id;
    w.order = next_watch++;
    w.path = std::move(*path);
    w.given = std::string(args[0]);
    w.token = std::string(args[1]);
    w.strip = is_relative(args[0]) ? home_length(s.client) : 0;
    const Watch &added = s.client.watches.emplace(w.order, std::move(w)).first->second;
    watches.add(&added);
    s.ok();
    // Once at the start, whatever the permissions: simplifies clients.
    if (added.given.size() + added.token.size() + 2 <= kPayloadMax)
        s.out.event(s.client.id, added.given, added.token);
    return {};
}

Result<void> State::Impl::remove_watch(Step &s)
{
    const auto args = arguments(s.request.payload, 2);
    if (args.size() != 2)
        return fail(Error::Einval);
    const Result<Path> path = watch_path(args[0], s.client);
    if (!path)
        return fail(path.error());
    if (path_too_long(*path, asker(s.client, nullptr))) {
        refused(s.client, Quota::PathMax, s.out);
        return fail(Error::Einval);
    }
    const Watch *const w = watches.find(*path, s.client.id, args[1]);
    if (!w)
        return fail(Error::Enoent);
    watches.remove(w);
    s.client.watch_bytes -= watch_cost(w->given, w->token, w->path);
    s.client.watches.erase(w->order);
    return {};
}

void State::Impl::drop_watches(Client &c)
{
    for (const auto &[order, w] : c.watches)
        watches.remove(&w);
    c.watches.clear();
    c.watch_bytes = 0;
}

void State::Impl::fire(const Path &path, bool exact, const Node *before, const Node *after,
                       const Node *parent, Outputs &out)
{
    const auto may_hear = [&](std::uint64_t conn) {
        const Subject who = clients.at(conn).subject();
        const auto readable = [&](const Node *n) {
            return n && (who.privileged || (access_of(*n->perms(), who) & kRead));
        };
        return readable(after) || readable(before) || readable(parent);
    };
    matched.clear();
    watches.match(path, exact, matched, may_hear);
    if (matched.empty())
        return;
    std::sort(matched.begin(), matched.end(), [](const Watch *a, const Watch *b) {
        return a->conn != b->conn ? a->conn < b->conn : a->order < b->order;
    });
    for (const Watch *w : matched) {
        const std::string_view text = std::string_view(path.str()).substr(w->strip);
        // An event that no client could receive is dropped (XSA-324).
        if (text.size() + w->token.size() + 2 <= kPayloadMax)
            out.event(w->conn, text, w->token);
    }
}

void State::Impl::fire_effect(const Effect &e, const Tree &before, const Tree &after, Outputs &out)
{
    if (watches.size() == 0)
        return;
    const Node *parent = e.path.is_special() ? nullptr : after.find(e.path.parent());
    switch (e.kind) {
    case Effect::None:
        return;
    case Effect::Written:
    case Effect::Created:
        return fire(e.path, false, nullptr, after.find(e.path), parent, out);
    case Effect::PermsSet:
        return fire(e.path, false, e.before.get(), after.find(e.path), parent, out);
    case Effect::Removed:
        // Below first, each only to watches exactly there, then the top.
        watches.below(e.path, *e.before, true, [&](const Path &p, const Node &n) {
            fire(p, true, &n, nullptr, before.find(p.parent()), out);
        });
        return fire(e.path, false, e.before.get(), nullptr, parent, out);
    }
}

} // namespace xsgit::server
