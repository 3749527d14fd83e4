// SPDX-License-Identifier: MIT
// Everything of the daemon that outlives it: the repository with its state directory, the
// journal, the live state, and the threads that turn the journal into history. The loop
// above it knows neither git nor files of the store.
//
// <repository>/xsgit/ holds: format (version, boot id), lock, journal, checkpoint, checkpoint.old, slots,
// keeper.sock.
#pragma once

#include "server/engine/state.hpp"
#include "xsgit/journal/journal.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace xsgit::server {

/// Name of an output: which event made it, and which of its outputs it is.
struct OutputName {
    std::uint64_t event = 0;
    std::uint32_t index = 0;
    friend auto operator<=>(const OutputName &, const OutputName &) = default;
};

/// An output that recovery made again and that may not have been sent.
struct UnsentOutput {
    std::uint64_t conn = 0;
    OutputName name;
    bool event = false;
    std::string bytes;
};

/// First output of `conn` that is not completely sent yet. Names only grow.
using SentUpTo = std::function<OutputName(std::uint64_t conn)>;

struct StoreOptions {
    std::string repo;         // directory; made if absent
    std::string boot_id;      // of the host
    std::uint64_t budget = 0; // bytes; 0: min(256 MiB, half the file system)
    SentUpTo sent;            // by the daemon in whose place we are
};

class Store {
public:
    /// Makes or recovers the store. A repository of another boot, damaged, or of another format is set aside as
    /// design says (the text of what happened goes to `report`, a line each). Throws std::runtime_error with advice when `repo`
    /// cannot be used at all (not ours, not writable). The caller holds the lock.
    static std::unique_ptr<Store> open(const StoreOptions &options,
                                       const std::function<void(const std::string &)> &report);
    ~Store();

    const State &state() const;
    /// Outputs since the checkpoint, oldest first, that `sent` does not know as sent. Call once, after open().
    std::vector<UnsentOutput> take_unsent();

    /// Starts the committer and maintenance threads, which call `sent_up_to`.
    void start(SentUpTo sent_up_to);

    /// Gives `e` its number and times, executes it, journals it. `out` is cleared first; nothing of it
    /// may leave before this returned true. False: the journal is full, try again when the committer has made room (nothing was executed).
    bool execute(Event &e, Outputs &out);

    /// Readable when tend() has something to do, which no request may bring about for a long time.
    int wake_fd() const;
    void tend();

    /// Domains whose commits have made transactions of the control domain's clients fail since the last call, once for each that failed;
    /// known some milliseconds later, and not all if there are very many. O(1) if there are none.
    std::vector<std::uint32_t> take_culprits();

    /// Microseconds that history lags behind the state; 0 if up to date.
    std::int64_t lag_us() const;

    /// Publishes everything up to now and returns when git sees it (orderly stop), or false after `patience_ms`.
    bool sync(std::int64_t patience_ms);
    /// Whether git sees everything up to event `number`; hurries if not. Does not wait.
    bool published(std::uint64_t number);

    /// What `xenstore-control status` shows: name and value, in order.
    std::vector<std::pair<std::string, std::string>> status() const;

private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace xsgit::server
