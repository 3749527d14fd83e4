// SPDX-License-Identifier: MIT
// The server thread: level-triggered epoll over the sockets and the event channels, one request per connection and
// pass, replies sent at once. It frames and carries messages; what they mean is the fold's business, where
// they lie while a process dies is the slots'.
#pragma once

#include "server/daemon/caused_events.hpp"
#include "server/daemon/conflict_penalty.hpp"
#include "server/daemon/connection.hpp"
#include "server/daemon/control_service.hpp"
#include "server/daemon/fold.hpp"
#include "server/daemon/hypervisor.hpp"
#include "server/daemon/log.hpp"
#include "server/daemon/sent_names.hpp"
#include "server/daemon/slot_file.hpp"
#include "server/daemon/trace.hpp"
#include "server/daemon/unique_fd.hpp"
#include "server/daemon/write_limiter.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

struct epoll_event;

namespace xsgit::server {

class Loop {
public:
    static constexpr std::int64_t kRingScanMs = 2000;
    /// Wrong indexes are a guest's last word only if they still are wrong so much later.
    static constexpr std::int64_t kDoubtMs = 500;

    /// All borrowed, and longer-lived than the loop.
    struct Parts {
        Fold &fold;
        SlotFile &slots;
        SentNames &names; // for the store's threads: outlives them
        Hypervisor &hypervisor;
        ControlService &control;
        Trace &trace;
        Log &log;
        int listen_fd;
        int signal_fd;         // a signalfd; -1: none
        int keeper_fd;         // readable when the keeper has died; -1: none
        std::string state_dir; // where a poisonous request is kept
        std::string settings;  // facts of a Settings event to begin with; empty: none
        unsigned blame = 0;    // how much a request is to blame that was being executed at the last death
        /// A guest's events that were not sent for so long are dropped, and those of others hold no guest up that
        /// caused them; 0: never.
        std::int64_t event_timeout_ms = 20'000;
        /// Guests that do not ring after all that they write or read are found this late; 0: never.
        std::int64_t ring_scan_ms = kRingScanMs;
        std::size_t ring_limit = kRingConnections;
        bool store_clients = false; // with the service manager, see FdStore
    };
    explicit Loop(const Parts &parts);
    ~Loop();

    /// Goes on with the connections of the slots, ends those of the state that have none, starts the store's threads,
    /// and takes in accepted sockets that never got a slot. Once, before run().
    void resume(const std::vector<int> &orphans);

    enum class End { Stop, KeeperGone };
    /// Serves until told otherwise.
    End run();
    /// After that, if nobody follows at once: hands the sockets that the service manager has not got yet to it.
    void store_now();

private:
    // loop.cpp
    void handle(const epoll_event &e);
    void signalled();
    void watch(Connection &c);
    int timeout() const;
    bool waiting() const;
    void retry();

    // loop_serve.cpp
    void readable(Connection &c);
    void look(Connection &c);
    void serve();
    bool execute(Connection &c);
    bool execute(Event &e);
    std::optional<std::string> find_facts(const Event &e, Connection &c);
    void tell_refusals();
    void tell_stall(const Connection &c);
    void keep_poison(const Event &e);
    void misbehaved(Connection &c, RingError why);
    bool tell_misbehaviour();
    void deliver(std::uint64_t event);
    void flush(Connection &c);
    void flush_dirty();
    void make_deaf(Connection &c);

    // loop_limits.cpp
    bool over_limit(Connection &c);
    void charge(const Connection &c, std::uint64_t commits_before);
    void note_success(const Connection &c, const Event &e);
    void release_limited();
    bool overdue(const Connection &c) const;
    std::size_t outstanding(const Connection &c) const;
    void count_caused(Connection &c);
    void settle_caused(Connection &c);
    void forgive_caused();
    std::int64_t patience_ms(const Connection &c) const;
    void go_on();

    // loop_clients.cpp
    void accept_some();
    void pause_accepting();
    bool take_in(int fd);
    void admit(std::unique_ptr<Connection> c);
    void close(Connection &c);
    void reap();
    bool resume_slot(std::uint32_t index, const std::vector<State::Connection> &known);
    void judge_executing(Connection &c, std::uint64_t executed);
    bool execute_close(std::uint64_t conn);
    void remove(Connection &c);

    // loop_store.cpp
    void store_later(const Connection &c);
    void store_due();
    bool store_first();
    void end(int fd) noexcept;

    // loop_rings.cpp
    struct PendingRing {
        std::uint32_t slot, domid, local;
        RingPage *page;
    };
    void attach(const Needs::Ring &wanted, std::string &facts);
    Result<PendingRing> prepare_ring(std::uint32_t domid, std::uint32_t port, std::uint64_t conn);
    void give_back_pending();
    Connection &take_ring(const PendingRing &r);
    void carry_out(const Order &order);
    void detach(Connection &c);
    void resume_rings(const std::vector<std::uint32_t> &slots, const std::vector<State::Connection> &known);
    bool resume_ring(std::optional<std::uint32_t> slot, const State::Connection &state, bool certain);
    void introduce_present();
    bool connect_ring(std::uint32_t domid, std::uint32_t port, bool required);
    void rang();
    void wake(Connection &c);
    bool survey();
    void scan();
    void scan_later();
    void doubt(Connection &c);
    void look_again();

    Parts p_;
    UniqueFd epoll_;
    std::uint32_t most_clients_;
    Outputs out_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> clients_;
    std::deque<Connection *> ready_;
    std::vector<Connection *> dirty_;
    std::vector<Connection *> closing_;      // no longer in epoll
    std::unique_ptr<Connection> unadmitted_; // its Connect event had no room in the journal
    std::vector<std::uint64_t> lost_;        // connections of the state without a socket
    std::vector<Connection *> held_;         // the store did not take their request now
    std::vector<Connection *> limited_;      // guests that stand in the way of others' transactions
    std::int64_t limited_until_ms_ = 0;      // some of them
    WriteLimiter limiter_;
    ConflictPenalty penalty_;
    CausedEvents caused_;
    std::uint64_t cause_ = 0; // the guest's connection whose request is executed; 0: none that counts
    std::vector<Connection *> counting_; // receivers of events that count
    std::vector<std::uint64_t> lighter_; // connections that may be read again
    std::int64_t forgive_again_ms_ = 0;
    std::unordered_map<std::uint32_t, Connection *> rings_;   // by local port
    std::unordered_map<std::uint32_t, Connection *> ring_of_; // the same by domid
    std::optional<PendingRing> pending_ring_;                 // prepared for an INTRODUCE
    std::deque<std::pair<std::uint64_t, std::int64_t>>
        doubted_; // connections whose indexes are wrong, since when
    RingHost::Pending rung_;
    std::vector<std::pair<std::uint64_t, RingError>> offenders_; // that the state has not been told of
    bool survey_due_ = false;
    std::int64_t scan_again_ms_ = 0; // for events that are too old; 0: everybody's ring as well
    std::int64_t rings_due_ms_ = 0;  // everybody's ring, if anybody's unasked
    std::int64_t bind_until_ms_ = 0; // while rings are resumed
    std::int64_t retried_ms_ = 0;
    struct ToStore {
        std::uint64_t conn;
        std::int64_t due_ms;
    };
    std::deque<ToStore> to_store_; // connections that the service manager has no copy of; some may have ended
    bool store_failed_ = false;    // and that was said
    bool accepting_ = true;
    std::int64_t accept_again_ms_ = 0;
    bool stop_ = false, keeper_gone_ = false;
};

} // namespace xsgit::server
