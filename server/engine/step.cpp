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
std::size_t State::open_transactions() const noexcept { return impl_->open_transactions; }
std::uint32_t State::epoch() const noexcept { return impl_->epoch; }
std::int64_t State::wall_us() const noexcept { return impl_->wall_us; }
const Tree &State::tree() const noexcept { return impl_->tree; }
std::uint64_t State::next_connection() const noexcept { return impl_->next_conn; }

State::Size State::size() const noexcept
{
    Account all;
    for (const auto &[domid, own] : impl_->accounts.all())
        all += own;
    return {static_cast<std::uint64_t>(std::max<std::int64_t>(all.nodes, 0)),
            static_cast<std::uint64_t>(std::max<std::int64_t>(all.bytes, 0))};
}

std::vector<std::pair<std::uint64_t, Tree>> State::bases() const
{
    std::map<std::uint64_t, Tree, std::greater<>> bases;
    for (const auto &[id, c] : impl_->clients)
        for (const auto &[txid, tx] : c.transactions)
            bases.try_emplace(tx.base_seq, tx.base);
    return {bases.begin(), bases.end()};
}

std::vector<State::Connection> State::connections() const
{
    std::vector<Connection> out;
    for (const auto &[id, c] : impl_->clients) {
        Connection one{id,     c.domid, c.ring, c.requests, c.watches.size(), c.transactions.size(),
                       c.peer, 0,       0,      0,          c.ignored};
        if (const auto d = impl_->domains.find(c.domid); c.ring && d != impl_->domains.end()) {
            one.unique_id = d->second.unique_id;
            one.port = d->second.port;
            one.features = d->second.features;
        }
        out.push_back(std::move(one));
    }
    return out;
}

std::vector<State::WatchOf> State::watches() const
{
    std::vector<WatchOf> out;
    for (const auto &[id, c] : impl_->clients)
        for (const auto &[order, w] : c.watches)
            out.push_back({id, w.depth, w.given, w.token});
    return out;
}

std::vector<State::KnownDomain> State::domains() const
{
    std::vector<KnownDomain> out;
    for (const auto &[domid, d] : impl_->domains)
        out.push_back({domid, d.unique_id, d.introduced, d.shutdown});
    return out;
}

std::uint64_t State::unique_id(std::uint32_t domid) const
{
    const auto d = impl_->domains.find(domid);
    return d != impl_->domains.end() ? d->second.unique_id : 0;
}

std::uint32_t State::outstanding_limit(std::uint32_t domid) const
{
    const auto d = impl_->domains.find(domid);
    return (d != impl_->domains.end() ? d->second.quotas : impl_->quotas)[Quota::Outstanding];
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
        // Bases stay within the last two epochs: only older ones are ever dropped. In a gap there are none.
        s.rebase_transactions(e, e.facts == kGapEnds ? s.seq + 1 : s.epoch_first_seq);
        ++s.epoch;
        s.epoch_first_seq = s.seq + 1;
        if (s.sink)
            s.sink->on_epoch({s.epoch, e.facts == kGapEnds, s.seq, s.conflicts, e.wall_us}, s.tree);
        break;
    case EventKind::Domains:
        s.changed_domains(e, out);
        break;
    case EventKind::Settings:
        s.settings(e);
        break;
    case EventKind::Ignore:
        s.ignore(e);
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
    accounts = Accounts::of(tree);
    domain(0, 0);
    ++seq;
    if (sink) {
        Change c;
        c.seq = seq;
        c.wall_us = e.wall_us;
        c.after = tree;
        recent.add(c);
        sink->on_change(c);
    }
}

/// "socket <domid> <pid> <uid> <comm>", or a ring's.
void State::Impl::connect(const Event &e)
{
    if (e.facts.starts_with("ring "))
        return connect_ring(e);
    Client c;
    c.id = e.conn;
    std::string_view rest = e.facts;
    const auto word = [&] {
        const std::size_t n = std::min(rest.find(' '), rest.size());
        const std::string_view w = rest.substr(0, n);
        rest.remove_prefix(std::min(n + 1, rest.size()));
        return w;
    };
    word(); // "socket"
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
    Step s{e, out, c, *r, nullptr, {}};
    if (e.kind == EventKind::Poison) {
        s.error(Error::Eio);
        return;
    }
    request_peaks = {};
    dispatch(s);
    if (!c.privileged())
        note_use(c, out);
}

/// What only the control domain may send.
static bool is_privileged(MsgType type)
{
    switch (type) {
    case MsgType::Control:
    case MsgType::Introduce:
    case MsgType::Release:
    case MsgType::IsDomainIntroduced:
    case MsgType::Resume:
    case MsgType::SetTarget:
    case MsgType::SetFeature:
    case MsgType::GetQuota:
    case MsgType::SetQuota:
        return true;
    default:
        return false;
    }
}

void State::Impl::dispatch(Step &s)
{
    const MsgType type = static_cast<MsgType>(s.type());
    if (type_name(s.type()) == "UNKNOWN" || type == MsgType::WatchEvent || type == MsgType::Error)
        return s.error(Error::Enosys);
    if (is_privileged(type) && !s.client.privileged())
        return s.error(Error::Eacces);
    if (type != MsgType::Watch && type != MsgType::Unwatch && s.request.header.tx_id != 0) {
        const auto it = s.client.transactions.find(s.request.header.tx_id);
        if (it == s.client.transactions.end())
            return s.error(Error::Enoent);
        s.tx = &it->second;
    }
    s.facts = parse_facts(s.event.facts);
    if (const auto r = execute(s, type); !r)
        s.error(r.error());
}

/// Answers, or fails without having done anything.
Result<void> State::Impl::execute(Step &s, MsgType type)
{
    const auto then_ok = [&](const Result<void> &r) {
        if (r)
            s.ok();
        return r;
    };
    switch (type) {
    case MsgType::Watch:
        return add_watch(s); // its reply stands before its first event
    case MsgType::Unwatch:
        return then_ok(remove_watch(s));
    case MsgType::TransactionStart:
        return start_transaction(s);
    case MsgType::TransactionEnd:
        return then_ok(end_transaction(s));
    case MsgType::ResetWatches:
        drop_watches(s.client);
        s.client.transactions.clear();
        s.client.log_bytes = 0;
        s.ok();
        return {};
    case MsgType::GetDomainPath:
    case MsgType::IsDomainIntroduced:
        return domain_question(s, type);
    case MsgType::Introduce:
    case MsgType::Release:
    case MsgType::Resume:
    case MsgType::SetTarget:
        return then_ok(domain_request(s));
    case MsgType::GetFeature:
    case MsgType::SetFeature:
        return feature_request(s);
    case MsgType::GetQuota:
    case MsgType::SetQuota:
        return quota_request(s);
    case MsgType::Control:
        return control(s);
    default:
        store_request(s);
        return {};
    }
}

Result<void> State::Impl::domain_question(Step &s, MsgType type)
{
    const auto arg = one_argument(s.request.payload);
    const auto domid = arg ? parse_domid(*arg) : std::nullopt;
    if (!domid)
        return fail(Error::Einval);
    if (type == MsgType::IsDomainIntroduced) {
        const auto d = domains.find(*domid);
        const bool yes = *domid == 0 || *domid == kDomidSelf || (d != domains.end() && d->second.introduced);
        s.reply(std::string_view(yes ? "T" : "F", 2));
        return {};
    }
    std::string path = "/local/domain/" + std::to_string(*domid);
    path.push_back('\0');
    s.reply(path);
    return {};
}

void State::Impl::store_request(Step &s)
{
    // A domain that permissions name is known from now on, so that its death is noticed.
    if (static_cast<MsgType>(s.type()) == MsgType::SetPerms)
        for (const DomainFact &f : s.facts.domains)
            if (f.exists)
                domain(f.domid, f.unique_id);
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
    const Result<void> r = execute_store(s.type(), s.request.payload, asker(s.client, nullptr), s.facts, tree,
                                         effect, reply_buffer);
    if (effect.refused)
        refused(s.client, *effect.refused, s.out);
    if (effect.limit)
        refused(s.client, *effect.limit, s.out);
    if (!r)
        return s.error(r.error()); // and the tree is as it was
    if (effect.kind != Effect::None) {
        accounts.add(effect.charges);
        if (s.client.privileged())
            effect.charges.each(
                [&](std::uint32_t domid, const Account &more) { note_given(domid, more, s.out); });
        fire_effect(effect, before, tree, s.out);
        ++seq;
        if (sink) {
            std::string scratch;
            committed(s.event, actor_of(s.client), operation_of(s.type(), s.request.payload, effect, scratch),
                      std::move(before));
        }
    }
    s.reply(reply_buffer);
}

Asker State::Impl::asker(const Client &c, const Transaction *tx) const
{
    Asker a;
    a.who = c.subject();
    if (c.privileged())
        return a;
    const Domain &d = domains.at(c.domid);
    a.domid_any = (d.features & kFeatureDomidAny) != 0;
    a.quotas = &d.quotas;
    a.peaks = &request_peaks;
    a.owned = accounts.get(c.domid);
    if (tx)
        a.owned += tx->accounts.get(c.domid);
    a.memory = static_cast<std::int64_t>(c.watch_bytes + c.log_bytes);
    return a;
}

void State::Impl::refused(const Client &c, Quota q, Outputs &out) const
{
    out.refuse({c.domid, quota_name(q), domains.at(c.domid).quotas[q]});
}

void State::Impl::refused(const Client &c, const FixedLimit &limit, Outputs &out)
{
    out.refuse({c.domid, limit.what, limit.value, Refusal::Kind::Fixed, 0, c.id});
}

/// What a domain has now, as far as the state knows: of single nodes and of transactions there is no such number, only
/// the most. `c`: its ring's, null if it has none.
std::uint64_t State::Impl::used(const Domain &d, const Client *c, Quota q) const
{
    const auto at_least_none = [](std::int64_t n) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 0));
    };
    switch (q) {
    case Quota::Nodes:
        return at_least_none(accounts.get(d.domid).nodes);
    case Quota::Memory:
        return at_least_none(accounts.get(d.domid).bytes) + (c ? c->watch_bytes + c->log_bytes : 0);
    case Quota::Watches:
        return c ? c->watches.size() : 0;
    case Quota::Transactions:
        return c ? c->transactions.size() : 0;
    default:
        return 0;
    }
}

void State::Impl::note(Domain &d, Quota q, std::uint64_t n)
{
    note_peak(d.peak, q, n);
    if (d.domid != 0)
        note_peak(peak, q, n);
}

/// After a request of a ring: what `quota <domid>` and `quota max` show, and the soft limit.
void State::Impl::note_use(const Client &c, Outputs &out)
{
    Domain &d = domains.at(c.domid);
    for (const Quota q : {Quota::Nodes, Quota::Watches, Quota::Transactions})
        note(d, q, used(d, &c, q));
    for (const Quota q : {Quota::TransactionNodes, Quota::NodePermissions, Quota::PathMax, Quota::NodeSize})
        note(d, q, request_peaks[static_cast<std::size_t>(q)]);
    const std::uint64_t memory = used(d, &c, Quota::Memory);
    note(d, Quota::Memory, memory);
    note_soft_limit(d, memory, out);
}

/// After a request of the control domain that gave `more` to a domain.
void State::Impl::note_given(std::uint32_t domid, const Account &more, Outputs &out)
{
    const auto it = domains.find(domid);
    if (it == domains.end() || domid == 0 || (more.nodes <= 0 && more.bytes <= 0))
        return;
    Domain &d = it->second;
    const auto c = clients.find(d.conn);
    const std::uint64_t memory = used(d, c == clients.end() ? nullptr : &c->second, Quota::Memory);
    note(d, Quota::Nodes, used(d, nullptr, Quota::Nodes));
    note(d, Quota::Memory, memory);
    note_soft_limit(d, memory, out);
}

/// `quota max -r`: from now on the most is what there is.
void State::Impl::forget_peaks()
{
    peak = {};
    for (auto &[domid, d] : domains) {
        d.peak = {};
        const auto c = clients.find(d.conn);
        for (const Quota q : {Quota::Nodes, Quota::Memory, Quota::Watches, Quota::Transactions})
            note(d, q, used(d, c == clients.end() ? nullptr : &c->second, q));
    }
}

/// Tells when the domain goes beyond it, and when it is back; once in ten seconds at most, by the clock of the events.
void State::Impl::note_soft_limit(Domain &d, std::uint64_t memory, Outputs &out) const
{
    constexpr std::int64_t kOnceInUs = 10'000'000;
    const bool above = d.quotas.exceeded(Quota::SoftMemory, memory);
    if (above == d.above_soft)
        return;
    const std::uint32_t limit = d.quotas[Quota::SoftMemory];
    if (limit != 0) { // else it was taken away: nothing to tell
        if (d.soft_told_us != 0 && wall_us - d.soft_told_us < kOnceInUs)
            return;
        out.refuse({d.domid, quota_name(Quota::SoftMemory), limit,
                    above ? Refusal::Kind::Above : Refusal::Kind::Below, memory});
        d.soft_told_us = wall_us;
    }
    d.above_soft = above;
}

void State::Impl::committed(const Event &e, const Actor &who, const Operation &op, Tree before)
{
    Change change;
    change.seq = seq;
    change.wall_us = e.wall_us;
    change.actor = who;
    change.op = op;
    change.before = std::move(before);
    change.after = tree;
    recent.add(change);
    sink->on_change(change);
}

} // namespace xsgit::server
