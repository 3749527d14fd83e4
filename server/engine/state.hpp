// SPDX-License-Identifier: MIT
// xenstored is a fold: state.step(event) gives outputs. No I/O, no clock, no random
// numbers, no locks, nothing that depends on addresses or hash order.
#pragma once

#include "server/engine/facts.hpp"
#include "server/engine/output.hpp"
#include "xsgit/change.hpp"
#include "xsgit/journal/event.hpp"
#include "xsgit/journal/stream.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace xsgit::server {

/// Largest request that is executed whole: see wire.hpp for the header.
class State {
public:
    /// An empty state: its first event must be Start. `sink`, if any, hears of every commit; it
    /// must outlive this.
    explicit State(ChangeSink *sink = nullptr);
    ~State();
    State(State &&) noexcept;
    State &operator=(State &&) noexcept;

    /// Executes `e` (numbers must come in order) and appends its outputs to `out`, which the caller has
    /// cleared. Never throws for anything a client can send.
    void step(const Event &e, Outputs &out);

    /// What must be found out, or done, before `e` (a Request) may be stepped; nothing for most. The
    /// answer goes into its facts (facts.hpp).
    Needs needs(const Event &e) const;

    /// Number of the last event executed; 0: none.
    std::uint64_t event_number() const noexcept;
    /// Last commit on main; 0: none.
    std::uint64_t seq() const noexcept;
    std::uint64_t conflicts() const noexcept;
    std::size_t open_transactions() const noexcept; // of all connections
    std::uint32_t epoch() const noexcept;
    std::int64_t wall_us() const noexcept; // of the last event: the next may not be earlier
    const Tree &tree() const noexcept;
    struct Size {
        std::uint64_t nodes = 0;
        std::uint64_t bytes = 0; // 16 and 8 for each permission, name and value of all of them
    };
    /// Of the tree, but its two tops. O(owners of nodes).
    Size size() const noexcept;
    /// Those commits that open transactions started from, and the trees, newest first; each once. O(transactions).
    std::vector<std::pair<std::uint64_t, Tree>> bases() const;

    struct Connection {
        std::uint64_t id = 0; // incarnation
        std::uint32_t domid = 0;
        bool ring = false;
        std::uint64_t requests = 0; // number of the last request executed
        std::size_t watches = 0, transactions = 0;
        std::string peer;            // "pid 123 xenstore-write"
        std::uint64_t unique_id = 0; // ring: of the domain
        std::uint32_t port = 0;      // ring: the guest's event channel
        std::uint32_t features = 0;  // ring: as offered in its page
        bool ignored = false;        // ring: its guest broke the protocol
    };
    /// In order of id.
    std::vector<Connection> connections() const;
    struct WatchOf {
        std::uint64_t conn = 0;
        int depth = -1;          // -1: unlimited
        std::string path, token; // as its client gave them
    };
    /// In order of connection, of each in order of registration. O(watches).
    std::vector<WatchOf> watches() const;
    struct KnownDomain {
        std::uint32_t domid = 0;
        std::uint64_t unique_id = 0; // 0: not known
        bool introduced = false;
        bool shutdown = false; // @releaseDomain was sent for it; until RESUME
    };
    /// All that the state has a record of, by domid; the control domain too.
    std::vector<KnownDomain> domains() const;
    /// Xen's number of the domain that the state knows by that domid; 0: none is known. O(log domains).
    std::uint64_t unique_id(std::uint32_t domid) const;
    /// The domain's limit of requests whose answers it has not taken; 0: none.
    std::uint32_t outstanding_limit(std::uint32_t domid) const;
    /// Incarnation to give to the next connection.
    std::uint64_t next_connection() const noexcept;

    /// Everything but the main tree, as stream records (record types: state_stream.hpp). `commit_of`
    /// gives the commit id (20 bytes) of a main commit that an open transaction started from.
    void save(StreamWriter &w, const std::function<std::string(std::uint64_t seq)> &commit_of) const;
    /// Puts one record of save() back; false if it is not one of ours. `tree_at` loads the tree of a
    /// commit (its 20 bytes), or gives an empty one if it is lost: that transaction will be told EAGAIN. `main` must have been set before any transaction.
    bool load_record(RecordReader r, const std::function<Tree(std::string_view commit)> &tree_at);
    void load_tree(Tree main);

    /// The whole state but node contents as readable text, one line per fact, in a fixed order: connections,
    /// watches, open transactions with their requests, counters. For tests, `daemon` branch, post-mortems.
    std::string describe() const;

    struct Impl; // private to the engine

private:
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit::server
