// SPDX-License-Identifier: MIT
// Folding a transaction's requests again: on main when it moved, and, for history, to see
// each step of it.
#include "server/engine/state_impl.hpp"

#include <algorithm>

namespace xsgit::server {
namespace {

/// What a request answers, for people: the bytes read, "OK", or the error's name.
std::string reply_text(const Result<void> &r, std::uint32_t type, const std::string &payload, const Effect &e)
{
    if (!r)
        return std::string(wire_name(r.error()));
    std::string text = payload;
    while (static_cast<MsgType>(type) != MsgType::Read && !text.empty() && text.back() == '\0')
        text.pop_back();
    if (e.kind == Effect::Created)
        return text + " (created)";
    if (e.kind == Effect::Written)
        return text + " (existed)";
    if (e.op == OpKind::Rm)
        return text + (e.kind == Effect::Removed ? " (removed)" : " (was absent)");
    return text;
}

Asker without_limits(Asker who)
{
    who.quotas = nullptr;
    return who;
}

/// Folds `log` on `tree`, telling `f(index, request, tree before, tree after, effect, result, reply)` of
/// each; stops when that returns false.
template <class F>
void fold(const std::vector<TxRequest> &log, Tree tree, Asker asker, F f)
{
    std::string reply;
    for (std::size_t i = 0; i < log.size(); ++i) {
        if (log[i].refused && !asker.quotas)
            continue;
        Effect effect;
        Tree before = tree;
        const Result<void> r =
            execute_store(log[i].type, log[i].payload, asker, parse_facts(log[i].facts), tree, effect, reply);
        if (r)
            asker.owned += effect.charges.of(asker.who.domid);
        if (!f(i, log[i], before, tree, effect, r, reply))
            return;
    }
}

} // namespace

State::Impl::Replayed State::Impl::replay(const Transaction &tx, const Tree &on, const Client &c,
                                          bool limits) const
{
    Replayed out;
    out.result.tree = on;
    fold(tx.log, on, limits ? asker(c, nullptr) : without_limits(asker(c, nullptr)),
         [&](std::size_t i, const TxRequest &q, const Tree &, const Tree &after, const Effect &e,
             const Result<void> &r, const std::string &reply) {
             if (answer_hash(r, reply, e) != q.answer) {
                 out.differs = i;
                 if (e.refused)
                     out.refused = r.error();
                 out.reply_now = reply_text(r, q.type, reply, e);
                 return false;
             }
             out.result.tree = after;
             if (r)
                 out.result.accounts.add(e.charges);
             if (e.path.str() != "/" || r)
                 note_access(out.result, e);
             return true;
         });
    return out;
}

void State::Impl::rebase_transactions(const Event &e, std::uint64_t oldest_seq)
{
    for (auto &[id, c] : clients)
        for (auto &[txid, tx] : c.transactions) {
            if (tx.base_seq >= oldest_seq)
                continue;
            Replayed r = replay(tx, tree, c, true);
            if (r.differs) {
                if (!r.refused) {
                    ++conflicts;
                    if (sink)
                        tell_conflict(e, c, tx, r);
                }
                doom(c, tx);
            } else {
                tx.tree = std::move(r.result.tree);
                tx.accesses = std::move(r.result.accesses);
                tx.access_of = std::move(r.result.access_of);
                tx.writes = r.result.writes;
                tx.accounts = std::move(r.result.accounts);
            }
            tx.base = tree;
            tx.base_seq = seq;
        }
}

void State::Impl::doom(Client &c, Transaction &tx)
{
    c.log_bytes -= tx.log_bytes;
    Transaction fresh;
    fresh.tally = std::move(tx.tally);
    fresh.id = tx.id;
    fresh.base = fresh.tree = tree;
    fresh.base_seq = seq;
    fresh.doom = Error::Eagain;
    tx = std::move(fresh);
}

void State::Impl::doom_transactions_of(Client &c)
{
    for (auto &[id, tx] : c.transactions)
        if (!tx.log.empty())
            doom(c, tx);
}

void State::Impl::doom_transactions_for(const Event &e, std::uint32_t domid)
{
    // Look-ups are made for SET_PERMS alone.
    const auto gives = [domid](const TxRequest &q) {
        const Facts facts = q.facts.empty() ? Facts() : parse_facts(q.facts);
        const DomainFact *f = facts.domain(domid);
        return f && f->exists;
    };
    for (auto &[id, c] : clients)
        for (auto &[txid, tx] : c.transactions) {
            const auto at = std::find_if(tx.log.begin(), tx.log.end(), gives);
            if (at == tx.log.end())
                continue;
            Replayed why;
            why.differs = static_cast<std::size_t>(at - tx.log.begin());
            why.reply_now = "domain " + std::to_string(domid) + " is gone";
            ++conflicts;
            if (sink)
                tell_conflict(e, c, tx, why);
            doom(c, tx);
        }
}

void State::Impl::tell_commit(const Event &e, const Client &c, const Transaction &tx, Tree before)
{
    Change change;
    change.seq = seq;
    change.wall_us = e.wall_us;
    change.actor = actor_of(c);
    change.op.kind = OpKind::Commit;
    change.after = tree;
    change.tx = tx.id;
    const bool fork_kept = tx.base_seq >= epoch_first_seq;
    change.fork_seq = fork_kept ? tx.base_seq : seq - 1;
    change.fork = fork_kept ? tx.base : before;
    change.before = std::move(before);
    recent.add(change);
    // The operations borrow from the log and from these.
    std::vector<Effect> effects(tx.log.size());
    std::vector<std::string> scratch(tx.log.size());
    fold(tx.log, change.fork, without_limits(asker(c, nullptr)),
         [&](std::size_t i, const TxRequest &q, const Tree &, const Tree &after, const Effect &effect,
             const Result<void> &, const std::string &) {
             if (effect.kind == Effect::None)
                 return true;
             effects[i] = effect;
             change.steps.push_back({operation_of(q.type, q.payload, effects[i], scratch[i]), after});
             return true;
         });
    sink->on_change(change);
}

void State::Impl::tell_conflict(const Event &e, const Client &c, const Transaction &tx, const Replayed &r)
{
    Conflict conflict;
    conflict.number = conflicts;
    conflict.wall_us = e.wall_us;
    conflict.actor = actor_of(c);
    conflict.tx = tx.id;
    conflict.base_seq = tx.base_seq;
    conflict.head_seq = seq;
    conflict.differs = *r.differs;
    conflict.reply_now = r.reply_now;
    std::vector<Effect> effects(tx.log.size());
    std::vector<std::string> scratch(tx.log.size()), replies(tx.log.size());
    fold(tx.log, tx.base, without_limits(asker(c, nullptr)),
         [&](std::size_t i, const TxRequest &q, const Tree &, const Tree &, const Effect &effect,
             const Result<void> &result, const std::string &reply) {
             effects[i] = effect;
             replies[i] = reply_text(result, q.type, reply, effect);
             conflict.log.push_back({operation_of(q.type, q.payload, effects[i], scratch[i]), replies[i]});
             return true;
         });
    const auto culprit = recent.changed(effects[*r.differs].path, tree, tx.base_seq);
    conflict.culprit_seq = culprit.seq;
    conflict.culprit_domid = culprit.domid;
    sink->on_conflict(conflict);
}

} // namespace xsgit::server
