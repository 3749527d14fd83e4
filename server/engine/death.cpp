// SPDX-License-Identifier: MIT
// The end of a domain: what it owns goes, permissions that name it too, so that a later domain of the same
// number has no use of them.
#include "server/engine/estate.hpp"
#include "server/engine/state_impl.hpp"

#include <algorithm>

namespace xsgit::server {

void State::Impl::destroy(const Event &e, std::uint32_t domid, OpKind how, const Actor &who, Outputs &out)
{
    const auto it = domains.find(domid);
    const bool introduced = it->second.introduced;
    Tree before = tree;
    // Its own watches first: nobody is told of his own death.
    if (const auto c = clients.find(it->second.conn); c != clients.end())
        drop_watches(c->second);
    drop_nodes(domid, out);
    detach(it->second, out);
    domains.erase(it);
    std::vector<Client *> bereft; // had its rights
    for (auto &[id, d] : domains)
        if (d.target == domid) {
            d.target.reset();
            if (const auto c = clients.find(d.conn); c != clients.end()) {
                c->second.target.reset();
                bereft.push_back(&c->second);
            }
        }
    if (introduced) {
        fire_special("@releaseDomain", std::nullopt, out);
        fire_special("@releaseDomain", domid, out);
    }
    const bool seen = introduced || !before.same(tree);
    if (seen)
        ++seq;
    if (seen && sink) {
        const std::string home = "/local/domain/" + std::to_string(domid);
        Operation op;
        op.kind = how;
        op.path = home;
        committed(e, who, op, std::move(before));
    }
    for (Client *c : bereft)
        doom_transactions_of(*c);
    doom_transactions_for(e, domid);
}

void State::Impl::drop_nodes(std::uint32_t domid, Outputs &out)
{
    const auto id = static_cast<std::uint16_t>(domid);
    const Estate estate(tree, id, accounts.get(domid));
    const auto replace = [&](const Path &path, PermsRef perms) {
        const Node *n = tree.find(path);
        const NodeRef changed = n->with_perms(std::move(perms));
        charge_node(accounts, *n, -1);
        charge_node(accounts, *changed, 1);
        tree = std::move(tree).put(path, changed);
    };
    for (const Path &path : estate.named) {
        const PermsRef perms = tree.find(path)->perms();
        replace(path, (perms->owner() == id ? perms->with_owner(0) : perms)->without(id));
    }
    for (const Path &path : estate.owned) {
        if (keep_orphans) {
            replace(path, tree.find(path)->perms()->with_owner(0)->without(id));
            continue;
        }
        Effect e;
        e.kind = Effect::Removed;
        e.op = OpKind::Rm;
        e.path = path;
        e.before = NodeRef(tree.find(path));
        each_node(*e.before, [&](const Node &n) { charge_node(accounts, n, -1); });
        const Tree before = tree;
        tree = std::move(tree).remove(path);
        fire_effect(e, before, tree, out);
    }
    if (keep_orphans) {
        // What lies below a node that was kept may be the domain's too.
        if (const Estate left(tree, id, accounts.get(domid)); !left.owned.empty() || !left.named.empty())
            drop_nodes(domid, out);
    }
}

/// Without `domid` the bare name, as ever; with it "<name>/<domid>", for those that asked for it (4.22).
void State::Impl::fire_special(std::string_view name, std::optional<std::uint32_t> domid, Outputs &out)
{
    const Path bare = Path::trusted(std::string(name));
    const Node *node = tree.find(bare);
    const Path full = domid ? Path::trusted(std::string(name) + "/" + std::to_string(*domid)) : bare;
    matched.clear();
    watches.match(bare, true, matched);
    std::erase_if(matched, [&](const Watch *w) { return domid ? w->depth < 1 : w->depth >= 0; });
    if (domid)
        watches.match(full, true, matched);
    std::sort(matched.begin(), matched.end(), [](const Watch *a, const Watch *b) {
        return a->conn != b->conn ? a->conn < b->conn : a->order < b->order;
    });
    for (const Watch *w : matched) {
        const Subject who = clients.at(w->conn).subject();
        if (!who.privileged && !(node && (access_of(*node->perms(), who) & kRead)))
            continue;
        if (full.str().size() + w->token.size() + 2 <= kPayloadMax)
            out.event(w->conn, full.str(), w->token);
    }
}

} // namespace xsgit::server
