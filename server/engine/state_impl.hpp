// SPDX-License-Identifier: MIT
// Private to the engine: what State is made of. One file a topic: step.cpp (dispatch),
// watches.cpp, transactions.cpp, replay.cpp, domains.cpp, death.cpp, features.cpp, control.cpp,
// state_stream.cpp, describe.cpp.
#pragma once

#include "server/engine/culprit.hpp"
#include "server/engine/domain.hpp"
#include "server/engine/state.hpp"
#include "server/engine/store_ops.hpp"
#include "server/engine/watch_index.hpp"

#include <array>
#include <map>
#include <utility>

namespace xsgit::server {

/// A request inside a transaction: what it was, and a number for what it answered.
struct TxRequest {
    std::uint32_t type = 0;
    std::string payload;
    std::string facts; // look-ups, as in the event
    std::uint64_t answer = 0;
    std::optional<Error> refused; // by a limit: it did nothing; left out where limits do not count
};

/// A node that a transaction's events may concern, in order of first access.
struct TxAccess {
    Path path;
    bool modified = false;        // by a request that named it
    std::vector<NodeRef> removed; // tops of the subtrees that requests removed
};

/// Counts those that are alive.
class Tally {
public:
    Tally() = default;
    explicit Tally(std::size_t &n) noexcept : n_(&n) { ++n; }
    Tally(Tally &&o) noexcept : n_(std::exchange(o.n_, nullptr)) {}
    Tally &operator=(Tally &&o) noexcept
    {
        std::swap(n_, o.n_);
        return *this;
    }
    ~Tally()
    {
        if (n_)
            --*n_;
    }

private:
    std::size_t *n_ = nullptr;
};

struct Transaction {
    Tally tally;
    std::uint32_t id = 0;
    std::uint64_t base_seq = 0;
    Tree base, tree;
    std::vector<TxRequest> log;
    std::size_t log_bytes = 0;
    bool writes = false;        // some request changed something
    Error doom = Error::Einval; // what END answers: Enomem after a refusal by a limit, Eagain when its
                                // snapshot or its rights had to go; Einval: not doomed
    std::vector<TxAccess> accesses;
    std::map<std::string, std::size_t, std::less<>> access_of; // path -> index in accesses
    Accounts accounts;                                         // difference to what `base` had
};

struct Client {
    std::uint64_t id = 0;
    std::uint32_t domid = 0;
    bool ring = false;
    bool ignored = false;                // its guest broke the protocol
    std::optional<std::uint32_t> target; // as the domain's
    std::uint64_t requests = 0;
    std::string peer;
    std::uint32_t next_tx = 1;
    std::map<std::uint64_t, Watch> watches; // by order of registration; addresses are stable
    std::map<std::uint32_t, Transaction> transactions;
    std::size_t watch_bytes = 0, log_bytes = 0; // of all watches and transactions, against Quota::Memory

    bool privileged() const noexcept { return !ring || domid == 0; }
    Subject subject() const { return Subject{domid, target, privileged()}; }
};

/// One request being executed.
struct Step {
    const Event &event;
    Outputs &out;
    Client &client;
    Request request;
    Transaction *tx = nullptr;
    Facts facts;

    std::uint32_t type() const { return request.header.type; }
    void ok() const { reply(std::string_view("OK", 3)); }
    void reply(std::string_view payload) const
    {
        out.reply(client.id, request.header.type, request.header.req_id, request.header.tx_id, payload);
    }
    void error(Error e) const { out.error(client.id, request.header.req_id, request.header.tx_id, e); }
};

struct State::Impl {
    ChangeSink *sink = nullptr;
    Tree tree;
    std::uint64_t event_number = 0;
    std::uint64_t seq = 0;
    std::uint64_t conflicts = 0;
    std::uint32_t epoch = 1;
    std::uint64_t epoch_first_seq = 1; // first commit of this epoch
    std::int64_t wall_us = 0;
    std::uint64_t next_conn = 1;
    std::uint64_t next_watch = 1;
    std::size_t open_transactions = 0; // of all clients; counted by their tallies
    std::map<std::uint64_t, Client> clients;
    WatchIndex watches;
    std::map<std::uint32_t, Domain> domains; // 0 always
    Quotas quotas;                           // for domains that will become known
    Peaks peak{};
    mutable Peaks request_peaks{}; // of the request at hand; see Asker
    bool keep_orphans = false;
    Accounts accounts; // of `tree`: computed from it when it is loaded
    // Not state: buffers that are reused, and what only history needs.
    RecentChanges recent;
    std::map<std::uint32_t, std::uint64_t> loading; // stream's connection ids, while loading
    std::string reply_buffer;
    std::vector<const Watch *> matched;

    // step.cpp
    void start(const Event &e);
    void connect(const Event &e);
    void close(std::uint64_t conn);
    void request(const Event &e, Outputs &out);
    void dispatch(Step &s);
    Result<void> execute(Step &s, MsgType type);
    Result<void> domain_question(Step &s, MsgType type);
    void store_request(Step &s);
    void direct_request(Step &s);
    void committed(const Event &e, const Actor &who, const Operation &op, Tree before);
    /// `tx`: the transaction the request belongs to, if any.
    Asker asker(const Client &c, const Transaction *tx) const;
    void note_use(const Client &c, Outputs &out);
    void note_soft_limit(Domain &d, std::uint64_t memory, Outputs &out) const;
    void refused(const Client &c, Quota q, Outputs &out) const;
    static void refused(const Client &c, const FixedLimit &limit, Outputs &out);
    std::uint64_t used(const Domain &d, const Client *c, Quota q) const;
    void note(Domain &d, Quota q, std::uint64_t n);
    void note_given(std::uint32_t domid, const Account &more, Outputs &out);
    void forget_peaks();
    Actor actor_of(const Client &c) const { return Actor{c.domid, c.id, c.peer}; }

    // watches.cpp
    Result<void> add_watch(Step &s);
    Result<void> remove_watch(Step &s);
    void drop_watches(Client &c);
    /// Queues the events of one direct operation, before its reply.
    void fire_effect(const Effect &e, const Tree &before, const Tree &after, Outputs &out);
    /// An event at `path` to everybody who may see `node` (at its old or new state) or its parent.
    void fire(const Path &path, bool exact, const Node *before, const Node *after, const Node *parent,
              Outputs &out);

    // domains.cpp
    Domain &domain(std::uint32_t domid, std::uint64_t unique_id);
    Domain *known_domain(Step &s, std::uint32_t domid);
    Result<void> introduce(Step &s);
    Result<void> release(Step &s);
    Result<void> resume(Step &s);
    Result<void> set_target(Step &s);
    Result<void> domain_request(Step &s);
    void connect_ring(const Event &e);
    Client &attach(Domain &d, Outputs &out);
    void detach(Domain &d, Outputs &out);
    void changed_domains(const Event &e, Outputs &out);
    void ignore(const Event &e);

    // death.cpp
    /// Nodes, permissions, ring and record of a domain go; events are fired, a commit is told.
    void destroy(const Event &e, std::uint32_t domid, OpKind how, const Actor &who, Outputs &out);
    void drop_nodes(std::uint32_t domid, Outputs &out);
    void fire_special(std::string_view name, std::optional<std::uint32_t> domid, Outputs &out);

    // features.cpp
    Result<void> feature_request(Step &s);
    Result<void> quota_request(Step &s);

    // control.cpp
    Result<void> control(Step &s);
    void settings(const Event &e);

    // transactions.cpp
    Result<void> start_transaction(Step &s);
    Result<void> end_transaction(Step &s);
    void transaction_request(Step &s);
    void fire_transaction(const Transaction &tx, const Tree &before, const Tree &after, Outputs &out);

    // state_stream.cpp
    bool load_state(RecordReader &r);
    void load_client(RecordReader &r);
    void load_watch(RecordReader &r);
    void load_transaction(RecordReader &r, const std::function<Tree(std::string_view)> &tree_at);

    // replay.cpp
    struct Replayed {
        Transaction result;                 // folded on the other tree; its tree and accesses
        std::optional<std::size_t> differs; // first request that answers differently
        std::string reply_now;              // what that one answers, as text
        std::optional<Error> refused;       // that one hits a limit that it did not hit before
    };
    /// `limits`: whether the client's limits count; else those requests that they refused are left out.
    Replayed replay(const Transaction &tx, const Tree &on, const Client &c, bool limits) const;
    void tell_commit(const Event &e, const Client &c, const Transaction &tx, Tree before);
    void tell_conflict(const Event &e, const Client &c, const Transaction &tx, const Replayed &r);
    /// Moves transactions that started before `oldest_seq` onto main as it is, or dooms them.
    void rebase_transactions(const Event &e, std::uint64_t oldest_seq);
    /// What it did is forgotten, and its END will say EAGAIN.
    void doom(Client &c, Transaction &tx);
    /// Dooms what `c` has open: what it may do is about to change, so that what it did could not be done again.
    void doom_transactions_of(Client &c);
    /// Dooms transactions that give `domid` permissions: it is no more, the next domain of that number is another.
    void doom_transactions_for(const Event &e, std::uint32_t domid);
};

/// Bytes of a watch that count against Quota::Memory.
std::size_t watch_cost(std::string_view given, std::string_view token, const Path &path);

/// Notes in `tx` what executing a request did, for its events.
void note_access(Transaction &tx, const Effect &e);

} // namespace xsgit::server
