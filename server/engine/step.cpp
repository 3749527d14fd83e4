// SPDX-License-Identifier: MIT
// State::step: one event in, outputs out.
#include "server/engine/state_impl.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace xsgit::server {

State::State(ChangeSink *sink) : impl_(std::make_unique<Impl>()) { impl_->sink = sink; }
State::~State() = default;
State::State(State &&) noexcept = default;
State &State::operator=(State &&) noexcept = default;

std::uint64_t State::event_number() const noexcept { return impl_->event_number; }
std::uint64_t State::seq() const noexcept { return impl_->seq; }
std::uint64_t State::conflicts() const noexcept { return impl_->conflicts; }
std::uint32_t State::epoch() const noexcept { return impl_->epoch; }
std::int64_t State::wall_us() const noexcept { return impl_->wall_us; }
const Tree &State::tree() const noexcept { return impl_->tree; }
std::uint64_t State::next_connection() const noexcept { return impl_->next_conn; }

std::vector<State::Connection> State::connections() const
{
    std::vector<Connection> out;
    for (const auto &[id, c] : impl_->clients)
        out.push_back({id, c.domid, c.ring, c.requests, c.watches.size(), c.transactions.size(), c.peer});
    return out;
}

std::vector<std::uint32_t> State::needs(const Event &e) const
{
    std::vector<std::uint32_t> out;
    const auto r = read_request(e.wire);
    if (!r || static_cast<MsgType>(r->header.type) != MsgType::SetPerms)
        return out;
    const auto args = arguments(r->payload, kPermsMax + 1);
    for (std::size_t i = 1; i < args.size() && i <= kPermsMax; ++i) {
        const auto p = parse_perm(args[i]);
        if (p && p->domid != 0 && p->domid != kDomidAny &&
            std::find(out.begin(), out.end(), p->domid) == out.end())
            out.push_back(p->domid);
    }
    return out;
}

void State::step(const Event &e, Outputs &out)
{
    Impl &s = *impl_;
    assert(e.number == s.event_number + 1);
    s.event_number = e.number;
    s.wall_us = std::max(s.wall_us, e.wall_us);
    switch (e.kind) {
    case EventKind::Start:
        s.start(e);
        break;
    case EventKind::Connect:
        s.connect(e);
        break;
    case EventKind::Close:
        s.close(e.conn);
        break;
    case EventKind::Request:
    case EventKind::Poison:
        s.request(e, out);
        break;
    case EventKind::Epoch:
        // Bases stay within the last two epochs: only older ones are ever dropped.
        s.rebase_transactions(s.epoch_first_seq);
        ++s.epoch;
        s.epoch_first_seq = s.seq + 1;
        if (s.sink)
            s.sink->on_epoch(s.epoch, s.tree);
        break;
    case EventKind::Restart:
    case EventKind::Invalid:
        break;
    }
}

/// The initial tree of the C daemon (4.22): /, /tool, /tool/xenstored, the two hidden nodes.
void State::Impl::start(const Event &e)
{
    const PermsRef mine = PermList::from_text("n0");
    tree = Tree::with_root(mine);
    const NodeRef daemon = Node::make("xenstored", nullptr, mine);
    tree = tree.put(Path::trusted("/tool"), Node::make("tool", nullptr, mine, Children().with(daemon)));
    const Children hidden = Children()
                                .with(Node::make("@introduceDomain", nullptr, mine))
                                .with(Node::make("@releaseDomain", nullptr,
                                                 PermList::from_text("n0,r" + std::to_string(kDomidAny))));
    tree = Tree(tree.root(), tree.special()->with_children(hidden));
    ++seq;
    if (sink) {
        Change c;
        c.seq = seq;
        c.wall_us = e.wall_us;
        c.after = tree;
        recent.add(seq, tree);
        sink->on_change(c);
    }
}

/// "socket <domid> <pid> <uid> <comm>" or "ring <domid>".
void State::Impl::connect(const Event &e)
{
    Client c;
    c.id = e.conn;
    std::string_view rest = e.facts;
    const auto word = [&] {
        const std::size_t n = std::min(rest.find(' '), rest.size());
        const std::string_view w = rest.substr(0, n);
        rest.remove_prefix(std::min(n + 1, rest.size()));
        return w;
    };
    c.ring = word() == "ring";
    const std::string_view domid = word();
    std::from_chars(domid.data(), domid.data() + domid.size(), c.domid);
    const std::string_view pid = word();
    word(); // uid
    if (!pid.empty())
        c.peer = "pid " + std::string(pid) + (rest.empty() ? "" : " ") + std::string(rest);
    next_conn = std::max(next_conn, e.conn + 1);
    clients.insert_or_assign(e.conn, std::move(c));
}

void State::Impl::close(std::uint64_t conn)
{
    const auto it = clients.find(conn);
    if (it == clients.end())
        return;
    drop_watches(it->second);
    clients.erase(it);
}

void State::Impl::request(const Event &e, Outputs &out)
{
    const auto it = clients.find(e.conn);
    const auto r = read_request(e.wire);
    if (it == clients.end() || !r)
        return;
    Client &c = it->second;
    c.requests = e.request;
    Step s{e, out, c, *r, nullptr};
    if (e.kind == EventKind::Poison) {
        s.error(Error::Eio);
        return;
    }
    dispatch(s);
}

void State::Impl::dispatch(Step &s)
{
    const MsgType type = static_cast<MsgType>(s.type());
    const bool uses_tx = type != MsgType::Watch && type != MsgType::Unwatch;
    switch (type) {
    case MsgType::Watch:
    case MsgType::Unwatch:
    case MsgType::TransactionStart:
    case MsgType::TransactionEnd:
    case MsgType::ResetWatches:
    case MsgType::GetDomainPath:
        break;
    default:
        if (!is_store_request(s.type()))
            return s.error(Error::Enosys);
    }
    if (uses_tx && s.request.header.tx_id != 0) {
        const auto it = s.client.transactions.find(s.request.header.tx_id);
        if (it == s.client.transactions.end())
            return s.error(Error::Enoent);
        s.tx = &it->second;
    }
    switch (type) {
    case MsgType::Watch: {
        if (const auto r = add_watch(s); !r)
            s.error(r.error());
        return; // its reply stands before its first event
    }
    case MsgType::Unwatch:
        return s.answer(remove_watch(s));
    case MsgType::TransactionStart: {
        if (const auto r = start_transaction(s); !r)
            s.error(r.error());
        return;
    }
    case MsgType::TransactionEnd:
        return s.answer(end_transaction(s));
    case MsgType::ResetWatches:
        drop_watches(s.client);
        s.client.transactions.clear();
        return s.ok();
    case MsgType::GetDomainPath: {
        const auto arg = one_argument(s.request.payload);
        const auto domid = arg ? parse_domid(*arg) : std::nullopt;
        if (!domid)
            return s.error(Error::Einval);
        std::string path = "/local/domain/" + std::to_string(*domid);
        path.push_back('\0');
        return s.reply(path);
    }
    default:
        return store_request(s);
    }
}

void State::Impl::store_request(Step &s)
{
    if (s.tx)
        transaction_request(s);
    else
        direct_request(s);
}

void State::Impl::direct_request(Step &s)
{
    Effect effect;
    Tree before; // kept only where somebody asks for it: a tree that nobody shares is changed in place
    if (sink || watches.size() != 0)
        before = tree;
    const Result<void> r = execute_store(s.type(), s.request.payload, s.client.subject(),
                                         parse_lookups(s.event.facts), tree, effect, reply_buffer);
    if (!r)
        return s.error(r.error()); // and the tree is as it was
    if (effect.kind != Effect::None) {
        fire_effect(effect, before, tree, s.out);
        ++seq;
        if (sink) {
            std::string scratch;
            committed(s.event, s.client, operation_of(s.type(), s.request.payload, effect, scratch),
                      std::move(before));
        }
    }
    s.reply(reply_buffer);
}

void State::Impl::committed(const Event &e, const Client &c, const Operation &op, Tree before)
{
    Change change;
    change.seq = seq;
    change.wall_us = e.wall_us;
    change.actor = actor_of(c);
    change.op = op;
    change.before = std::move(before);
    change.after = tree;
    recent.add(seq, tree);
    sink->on_change(change);
}

} // namespace xsgit::server
