// SPDX-License-Identifier: MIT
// Folding a transaction's requests again: on main when it moved, and, for history, to see
// each step of it.
#include "server/engine/state_impl.hpp"

#include <algorithm>
#include <deque>
#include <set>

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

/// Answers whose text a conflict's report has: so many at each end, and on each side of the one that differs. It
/// shows no others (conflict_report.cpp), and a guest decides how many there are and how long.
constexpr std::size_t kAnswersKept = 256;
constexpr std::size_t kAnswerKept = 200; // bytes, the note of the length left out

/// The texts of a report, each of them once.
class Texts {
public:
    std::string_view keep(std::string &&text) { return *texts_.insert(std::move(text)).first; }
    /// At most `most` bytes of it; then a note tells how many there were.
    std::string_view keep(std::string &&text, std::size_t most)
    {
        if (text.size() > most) {
            const std::size_t whole = text.size();
            text.resize(most);
            text += "... (" + std::to_string(whole) + " bytes)";
            text.shrink_to_fit();
        }
        return keep(std::move(text));
    }

private:
    std::set<std::string> texts_; // they stay where they are
};

Asker without_limits(Asker who)
{
    who.quotas = nullptr;
    who.peaks = nullptr;
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
             if (!e.refused && (e.path.str() != "/" || r))
                 note_access(out.result, e);
             return true;
         });
    return out;
}

void State::Impl::rebase_transactions(const Event &e, std::uint64_t oldest_seq)
{
    for (auto &[id, c] : clients) {
        std::size_t again = 0;
        for (auto &[txid, tx] : c.transactions) {
            if (tx.base_seq >= oldest_seq)
                continue;
            again += tx.log.size();
            if (!c.privileged() && again > kRequestsOverAnEpoch) {
                doom(c, tx);
                continue;
            }
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

/// What a transaction may have made anew, at most: values, and the way to each of them.
static std::size_t made_by(const Transaction &tx)
{
    constexpr std::size_t kLevel = 512; // a node and its place among its siblings
    std::size_t bytes = 0;
    for (const TxRequest &q : tx.log) {
        const std::string_view path(q.payload.data(), std::min(q.payload.find('\0'), q.payload.size()));
        bytes += q.payload.size() +
                 kLevel * (2 + static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')));
    }
    return bytes;
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
    recent.add(change, made_by(tx));
    // The operations borrow from the log and from these.
    std::deque<std::pair<Effect, std::string>> kept;
    fold(tx.log, change.fork, without_limits(asker(c, nullptr)),
         [&](std::size_t, const TxRequest &q, const Tree &, const Tree &after, const Effect &effect,
             const Result<void> &, const std::string &) {
             if (effect.kind == Effect::None)
                 return true;
             auto &[mine, scratch] = kept.emplace_back(effect, std::string());
             change.steps.push_back({operation_of(q.type, q.payload, mine, scratch), after});
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
    conflict.reply_now = r.reply_now;
    const std::size_t differs = *r.differs;
    conflict.differs = tx.log.size();
    conflict.log.reserve(tx.log.size());
    Texts texts;
    Path seen;
    fold(tx.log, tx.base, without_limits(asker(c, nullptr)),
         [&](std::size_t i, const TxRequest &q, const Tree &, const Tree &, const Effect &effect,
             const Result<void> &result, const std::string &reply) {
             const bool near = i < kAnswersKept || i + kAnswersKept >= tx.log.size() ||
                               (i + kAnswersKept >= differs && i <= differs + kAnswersKept);
             std::string scratch;
             Conflict::Entry entry{operation_of(q.type, q.payload, effect, scratch), {}};
             entry.op.path = texts.keep(std::string(entry.op.path));
             if (static_cast<MsgType>(q.type) == MsgType::SetPerms) // others borrow from the log
                 entry.op.value = texts.keep(std::move(scratch), near ? kPayloadMax : 0);
             const std::size_t most = i == differs ? kPayloadMax : near ? kAnswerKept : 0;
             entry.reply = texts.keep(reply_text(result, q.type, reply, effect), most);
             if (i >= differs && conflict.differs == tx.log.size()) { // those left out do not count
                 conflict.differs = conflict.log.size();
                 seen = effect.path;
             }
             conflict.log.push_back(entry);
             return true;
         });
    const auto culprit = recent.changed(seen, tree, tx.base_seq);
    conflict.culprit_seq = culprit.seq;
    conflict.culprit_domid = culprit.domid;
    sink->on_conflict(conflict);
}

} // namespace xsgit::server
