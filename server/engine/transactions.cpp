// SPDX-License-Identifier: MIT
// A transaction is a fold on a snapshot of the tree. Ending it takes its tree when main has not
// moved, and else folds its requests again on main (replay.cpp): the same answers, or EAGAIN.
#include "server/engine/state_impl.hpp"

#include <algorithm>
#include <set>

namespace xsgit::server {

Result<void> State::Impl::start_transaction(Step &s)
{
    if (s.tx)
        return fail(Error::Ebusy);
    auto &open = s.client.transactions;
    const Asker who = asker(s.client, nullptr);
    if (who.quotas && who.quotas->exceeded(Quota::Transactions, open.size() + 1)) {
        refused(s.client, Quota::Transactions, s.out);
        return fail(Error::Enospc);
    }
    if (open.size() >= kTransactionsPerConnection) {
        refused(s.client, FixedLimit{"open transactions", kTransactionsPerConnection}, s.out);
        return fail(Error::Enospc);
    }
    while (s.client.next_tx == 0 || open.contains(s.client.next_tx))
        ++s.client.next_tx;
    Transaction tx;
    tx.tally = Tally(open_transactions);
    tx.id = s.client.next_tx++;
    tx.base_seq = seq;
    tx.base = tx.tree = tree;
    std::string id = std::to_string(tx.id);
    id.push_back('\0');
    open.emplace(tx.id, std::move(tx));
    s.reply(id);
    return {};
}

void note_access(Transaction &tx, const Effect &e)
{
    const auto [it, fresh] = tx.access_of.try_emplace(e.path.str(), tx.accesses.size());
    if (fresh)
        tx.accesses.push_back(TxAccess{e.path, false, {}});
    TxAccess &a = tx.accesses[it->second];
    if (e.kind == Effect::None)
        return;
    tx.writes = true;
    a.modified = true;
    // A node without children says nothing that the first one does not.
    if (e.kind == Effect::Removed && (a.removed.empty() || !e.before->children().empty()))
        a.removed.push_back(e.before);
}

void State::Impl::transaction_request(Step &s)
{
    Transaction &tx = *s.tx;
    const std::size_t cost = s.request.payload.size() + s.event.facts.size() + sizeof(TxRequest);
    const std::size_t most = s.client.privileged() ? kRequestsPerTransaction : kRequestsPerGuestTransaction;
    const bool many = tx.log.size() >= most;
    if (many || s.client.log_bytes + cost > kTransactionLogBytes) {
        refused(s.client,
                many ? FixedLimit{"requests in one transaction", most}
                     : FixedLimit{"bytes of requests in open transactions", kTransactionLogBytes},
                s.out);
        tx.doom = Error::Enomem;
        return s.error(Error::Enospc);
    }
    Asker who = asker(s.client, &tx);
    who.memory += static_cast<std::int64_t>(cost);
    // What is remembered of requests counts, also where they make nothing larger.
    if (who.quotas && who.quotas->exceeded(Quota::Memory, static_cast<std::uint64_t>(std::max<std::int64_t>(
                                                              who.owned.bytes + who.memory, 0)))) {
        refused(s.client, Quota::Memory, s.out);
        tx.doom = Error::Enomem;
        return s.error(Error::Enomem);
    }
    Effect effect;
    const Tree as_it_was = tx.tree;
    Result<void> r = execute_store(s.type(), s.request.payload, who, parse_facts(s.event.facts), tx.tree,
                                   effect, reply_buffer);
    const bool looked_at = r || effect.path.str() != "/"; // the path was legal: what is absent counts too
    const bool fresh = looked_at && !effect.refused && !tx.access_of.contains(effect.path.str());
    if (who.peaks)
        note_peak(*who.peaks, Quota::TransactionNodes, tx.accesses.size() + fresh);
    if (fresh && who.quotas && who.quotas->exceeded(Quota::TransactionNodes, tx.accesses.size() + 1)) {
        effect.refused = Quota::TransactionNodes;
        r = fail(Error::Enospc);
    }
    tx.log_bytes += cost;
    s.client.log_bytes += cost;
    tx.log.push_back(TxRequest{s.type(), std::string(s.request.payload), std::string(s.event.facts),
                               answer_hash(r, reply_buffer, effect), std::nullopt});
    if (effect.limit)
        refused(s.client, *effect.limit, s.out);
    if (effect.refused) {
        tx.tree = as_it_was; // a limit on what it looks at is found to be reached when it is done
        refused(s.client, *effect.refused, s.out);
        tx.log.back().refused = r.error();
        // Such a path is like any illegal one, and such a list: refused before anything is looked at.
        if (*effect.refused != Quota::PathMax && *effect.refused != Quota::NodePermissions)
            tx.doom = Error::Enomem;
        return s.error(r.error());
    }
    if (r)
        tx.accounts.add(effect.charges);
    if (looked_at)
        note_access(tx, effect);
    if (r)
        s.reply(reply_buffer);
    else
        s.error(r.error());
}

Result<void> State::Impl::end_transaction(Step &s)
{
    const auto arg = one_argument(s.request.payload);
    if (!arg || (*arg != "T" && *arg != "F"))
        return fail(Error::Einval);
    if (!s.tx)
        return fail(Error::Enoent);
    auto node = s.client.transactions.extract(s.tx->id); // gone, whatever comes
    Transaction &tx = node.mapped();
    s.client.log_bytes -= tx.log_bytes;
    if (*arg == "F")
        return {};
    if (tx.doom != Error::Einval)
        return fail(tx.doom);
    if (tx.base_seq != seq) {
        Replayed r = replay(tx, tree, s.client, true);
        if (r.refused)
            return fail(*r.refused);
        if (r.differs) {
            ++conflicts;
            if (sink)
                tell_conflict(s.event, s.client, tx, r);
            return fail(Error::Eagain);
        }
        tx.tree = std::move(r.result.tree);
        tx.accesses = std::move(r.result.accesses);
        tx.access_of = std::move(r.result.access_of);
        tx.accounts = std::move(r.result.accounts);
    }
    if (!tx.writes)
        return {};
    Tree before = std::exchange(tree, tx.tree);
    accounts.add(tx.accounts);
    if (s.client.privileged())
        for (const auto &[domid, more] : tx.accounts.all())
            note_given(domid, more, s.out);
    ++seq;
    fire_transaction(tx, before, tree, s.out);
    if (sink)
        tell_commit(s.event, s.client, tx, std::move(before));
    return {};
}

/// One event at most for a node, in order of first access; what came and went within the
/// transaction fires nothing. Nodes below a removed one reach watches exactly on them.
void State::Impl::fire_transaction(const Transaction &tx, const Tree &before, const Tree &after, Outputs &out)
{
    if (watches.size() == 0)
        return;
    std::set<std::string, std::less<>> told;
    const auto parent_of = [](const Tree &t, const Path &p) -> const Node * {
        return p.is_special() ? nullptr : t.find(p.parent());
    };
    for (const TxAccess &a : tx.accesses) {
        if (!a.modified)
            continue;
        const Node *was = before.find(a.path);
        const Node *is = after.find(a.path);
        if ((was || is) && told.insert(a.path.str()).second)
            // A node that is gone, or whose permissions are others now, shows to those who could read it, too.
            fire(a.path, false, was && is && same_perms(was->perms(), is->perms()) ? nullptr : was, is,
                 is ? parent_of(after, a.path) : nullptr, out);
        if (a.removed.empty())
            continue;
        const auto gone = [&](const Path &p, const Node *old) {
            const auto own = tx.access_of.find(p.str());
            const bool named = own != tx.access_of.end() && tx.accesses[own->second].modified;
            const Node *now = after.find(p); // the parent of something made since: it is another one then
            if (!named && (old || now) && told.insert(p.str()).second)
                fire(p, true, old, now, nullptr, out);
        };
        if (was)
            watches.below(a.path, *was, false, [&](const Path &p, const Node &n) { gone(p, &n); });
        // And what the transaction itself had made there before.
        for (const NodeRef &top : a.removed)
            watches.below(a.path, *top, false, [&](const Path &p, const Node &) { gone(p, before.find(p)); });
    }
}

} // namespace xsgit::server
