// SPDX-License-Identifier: MIT
#include "server/engine/state_stream.hpp"

#include "server/engine/state_impl.hpp"

namespace xsgit::server {
namespace {

constexpr std::uint16_t kNoDepth = 0xffff;
constexpr std::uint16_t kNoTarget = kDomidInvalid;

void save_limits(StreamWriter &w, const Quotas &quotas)
{
    for (std::size_t i = 0; i < kQuotas; ++i)
        w.u32(quotas[quota_at(i)]);
}

void load_limits(RecordReader &r, Quotas &quotas)
{
    for (std::size_t i = 0; i < kQuotas; ++i)
        quotas[quota_at(i)] = r.u32();
}

void save_domain(StreamWriter &w, const Domain &d)
{
    w.record(kDomainRecord);
    w.u32(d.domid);
    w.u32((d.introduced ? 1u : 0u) | (d.shutdown ? 2u : 0u) | (d.target ? 4u : 0u));
    w.u64(d.unique_id);
    w.u64(d.conn);
    w.u32(d.port);
    w.u32(d.features);
    w.u32(d.target.value_or(0));
    w.u32(0);
    save_limits(w, d.quotas);
    for (const std::uint64_t p : d.peak)
        w.u64(p);
}

Domain load_domain(RecordReader &r)
{
    Domain d;
    d.domid = r.u32();
    const std::uint32_t bits = r.u32();
    d.introduced = (bits & 1) != 0;
    d.shutdown = (bits & 2) != 0;
    d.unique_id = r.u64();
    d.conn = r.u64();
    d.port = r.u32();
    d.features = r.u32();
    const std::uint32_t target = r.u32();
    if (bits & 4)
        d.target = target;
    r.u32();
    load_limits(r, d.quotas);
    for (std::uint64_t &p : d.peak)
        p = r.u64();
    return d;
}

void save_client(StreamWriter &w, const Client &c, std::uint32_t id)
{
    w.record(kConnectionData);
    w.u32(id);
    w.u16(c.ring ? 0 : 1);
    w.u16(0);
    if (c.ring) {
        w.u16(static_cast<std::uint16_t>(c.domid));
        w.u16(static_cast<std::uint16_t>(c.target.value_or(kNoTarget)));
        w.u32(0);
    } else {
        w.u32(~0u);
        w.u32(0);
    }
    w.u16(0);
    w.u16(0);
    w.u32(0);

    w.record(kClientRecord);
    w.u32(id);
    w.u32(c.next_tx);
    w.u64(c.id);
    w.u64(c.requests);
    w.u32(c.domid);
    w.u32((c.ring ? 1u : 0u) | (c.ignored ? 2u : 0u));
    w.text(c.peer);
}

void save_watch(StreamWriter &w, const Watch &watch, std::uint32_t id)
{
    w.record(kWatchDataExtended);
    w.u32(id);
    w.u16(static_cast<std::uint16_t>(watch.given.size() + 1));
    w.u16(static_cast<std::uint16_t>(watch.token.size() + 1));
    w.u16(watch.depth < 0 ? kNoDepth : static_cast<std::uint16_t>(std::min(watch.depth, 0xfffe)));
    w.u16(0);
    w.bytes(watch.given);
    w.u8(0);
    w.bytes(watch.token);
    w.u8(0);
}

void save_transaction(StreamWriter &w, const Transaction &tx, std::uint32_t id, const std::string &commit)
{
    w.record(kTransactionRecord);
    w.u32(id);
    w.u32(tx.id);
    w.u64(tx.base_seq);
    w.bytes(commit);
    w.u32(static_cast<std::uint32_t>(tx.doom));
    w.u32(static_cast<std::uint32_t>(tx.log.size()));
    for (const TxRequest &q : tx.log) {
        w.u32(q.type);
        w.u32(q.refused ? 1 + static_cast<std::uint32_t>(*q.refused) : 0);
        w.u64(q.answer);
        w.text(q.payload);
        w.text(q.facts);
    }
}

} // namespace

void State::save(StreamWriter &w, const std::function<std::string(std::uint64_t)> &commit_of) const
{
    const Impl &s = *impl_;
    w.record(kStateRecord);
    for (const std::uint64_t v : {s.event_number, s.seq, s.conflicts, s.epoch_first_seq,
                                  static_cast<std::uint64_t>(s.wall_us), s.next_conn})
        w.u64(v);
    w.u32(s.epoch);
    w.record(kSettingsRecord);
    save_limits(w, s.quotas);
    w.u32(s.keep_orphans ? 1 : 0);
    for (const std::uint64_t p : s.peak)
        w.u64(p);
    for (const auto &[domid, d] : s.domains)
        save_domain(w, d);
    std::uint32_t id = 0;
    for (const auto &[incarnation, c] : s.clients) {
        save_client(w, c, ++id);
        for (const auto &[order, watch] : c.watches)
            save_watch(w, watch, id);
        for (const auto &[txid, tx] : c.transactions)
            save_transaction(w, tx, id, commit_of(tx.base_seq));
    }
}

void State::load_tree(Tree main)
{
    impl_->tree = std::move(main);
    impl_->accounts = Accounts::of(impl_->tree);
}

bool State::load_record(RecordReader r, const std::function<Tree(std::string_view)> &tree_at)
{
    switch (r.type()) {
    case kStateRecord:
        return impl_->load_state(r);
    case kSettingsRecord:
        load_limits(r, impl_->quotas);
        impl_->keep_orphans = r.u32() != 0;
        for (std::uint64_t &p : impl_->peak)
            p = r.u64();
        return true;
    case kDomainRecord: {
        const Domain d = load_domain(r);
        impl_->domains.insert_or_assign(d.domid, d);
        return true;
    }
    case kConnectionData: // everything of it is in the record behind it
        return true;
    case kClientRecord:
        impl_->load_client(r);
        return true;
    case kWatchDataExtended:
        impl_->load_watch(r);
        return true;
    case kTransactionRecord:
        impl_->load_transaction(r, tree_at);
        return true;
    default:
        return false;
    }
}

bool State::Impl::load_state(RecordReader &r)
{
    event_number = r.u64();
    seq = r.u64();
    conflicts = r.u64();
    epoch_first_seq = r.u64();
    wall_us = static_cast<std::int64_t>(r.u64());
    next_conn = r.u64();
    epoch = r.u32();
    return true;
}

void State::Impl::load_client(RecordReader &r)
{
    const std::uint32_t id = r.u32();
    Client c;
    c.next_tx = r.u32();
    c.id = r.u64();
    c.requests = r.u64();
    c.domid = r.u32();
    const std::uint32_t bits = r.u32();
    c.ring = (bits & 1) != 0;
    c.ignored = (bits & 2) != 0;
    if (c.ring) {
        const auto d = domains.find(c.domid);
        if (d == domains.end())
            throw StreamDamaged("checkpoint: a ring without its domain");
        c.target = d->second.target;
    }
    c.peer = std::string(r.text());
    loading[id] = c.id;
    clients.insert_or_assign(c.id, std::move(c));
}

void State::Impl::load_watch(RecordReader &r)
{
    const auto client = loading.find(r.u32());
    const std::size_t given = r.u16(), token = r.u16();
    const std::uint16_t depth = r.u16();
    r.u16();
    if (client == loading.end() || given == 0 || token == 0)
        throw StreamDamaged("checkpoint: a watch without connection, path or token");
    Client &c = clients.at(client->second);
    Watch w;
    w.given = std::string(r.bytes(given).substr(0, given - 1));
    w.token = std::string(r.bytes(token).substr(0, token - 1));
    Result<Path> path = Path::parse(w.given, c.domid, true);
    if (!path)
        throw StreamDamaged("checkpoint: a watch with a path that is none");
    w.strip = w.given[0] == '/' || w.given[0] == '@' ? 0 : path->str().size() - w.given.size();
    w.path = std::move(*path);
    w.conn = c.id;
    w.order = next_watch++;
    w.depth = depth == kNoDepth ? -1 : depth;
    c.watch_bytes += watch_cost(w.given, w.token, w.path);
    const std::uint64_t order = w.order;
    watches.add(&c.watches.emplace(order, std::move(w)).first->second);
}

void State::Impl::load_transaction(RecordReader &r, const std::function<Tree(std::string_view)> &tree_at)
{
    const auto client = loading.find(r.u32());
    if (client == loading.end())
        throw StreamDamaged("checkpoint: a transaction without connection");
    Client &c = clients.at(client->second);
    Transaction tx;
    tx.tally = Tally(open_transactions);
    tx.id = r.u32();
    tx.base_seq = r.u64();
    const std::string_view commit = r.bytes(20);
    tx.base = tx.base_seq == seq ? tree : tree_at(commit);
    const bool lost = tx.base.empty();
    const std::uint32_t answer = r.u32();
    const std::uint32_t requests = r.u32();
    for (std::uint32_t i = 0; i < requests; ++i) {
        TxRequest q;
        q.type = r.u32();
        const std::uint32_t refused = r.u32();
        if (refused > 1 + static_cast<std::uint32_t>(Error::Eperm))
            throw StreamDamaged("checkpoint: a request refused with an unknown error");
        if (refused != 0)
            q.refused = static_cast<Error>(refused - 1);
        q.answer = r.u64();
        q.payload = std::string(r.text());
        q.facts = std::string(r.text());
        tx.log_bytes += q.payload.size() + q.facts.size() + sizeof(TxRequest);
        tx.log.push_back(std::move(q));
    }
    if (answer > static_cast<std::uint32_t>(Error::Eperm))
        throw StreamDamaged("checkpoint: a transaction with an unknown error");
    tx.doom = static_cast<Error>(answer);
    if (lost) {
        // It cannot go on; everything else can.
        tx.base = tx.tree = tree;
        tx.base_seq = seq;
        tx.doom = Error::Eagain;
        tx.log.clear();
        tx.log_bytes = 0;
        c.transactions.insert_or_assign(tx.id, std::move(tx));
        return;
    }
    c.log_bytes += tx.log_bytes;
    Replayed again = replay(tx, tx.base, c, false);
    if (again.differs) { // should not be; but no transaction is worth the store
        doom(c, tx);
        c.transactions.insert_or_assign(tx.id, std::move(tx));
        return;
    }
    tx.tree = std::move(again.result.tree);
    tx.writes = again.result.writes;
    tx.accounts = std::move(again.result.accounts);
    tx.accesses = std::move(again.result.accesses);
    tx.access_of = std::move(again.result.access_of);
    const std::uint32_t id = tx.id;
    c.transactions.insert_or_assign(id, std::move(tx));
}

} // namespace xsgit::server
