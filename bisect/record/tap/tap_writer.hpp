// SPDX-License-Identifier: MIT
// From the events of a daemon and what they put out to the records of a session.
#pragma once

#include "bisect/record/recorder.hpp"
#include "server/engine/state.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace xsgit::record {

class TapWriter {
public:
    /// `file` (with FileOptions::rotate_by_caller) and `redaction` must outlive this; `start_us`: begin of the file, microseconds
    /// since 1970.
    TapWriter(SessionFile &file, const Redaction &redaction, std::uint64_t start_us)
        : file_(file), redaction_(redaction), recorder_(file, redaction), start_us_(start_us)
    {
    }

    // Every call throws what SessionFile throws.

    /// Once, first. `fresh`: nothing was ever written to the store, which is what a session begins with that does not say
    /// more. O(nodes).
    void begin(const server::State &state, bool fresh);
    /// An event after it was executed.
    void event(const Event &e, const server::Outputs &out);
    /// `events` were executed that nobody here has seen, before `now`.
    void gap(const server::State &now, std::uint64_t events);
    /// After an event: begins the next file if it is time, and no transaction is open. (With one it waits for
    /// kRotationWaits events at most.) O(nodes) if it does.
    void rotate(const server::State &state);
    void note(std::string text);
    /// `wall_us`: now.
    void finish(std::int64_t wall_us, const std::string &reason);

    /// Written so far.
    std::uint64_t requests() const noexcept { return requests_; }

private:
    static constexpr int kRotationWaits = 1000;
    void opening(const server::State &state);
    void nodes(const Tree &tree);
    void open(session::Opened who);
    void close(std::uint64_t conn);
    void request(const Event &e);
    void outputs(const server::Outputs &out);
    void set_time(std::int64_t wall_us);

    SessionFile &file_;
    const Redaction &redaction_;
    Recorder recorder_;
    std::map<std::uint64_t, session::Opened> open_; // at most those of the daemon
    std::uint64_t start_us_, at_us_ = 0, requests_ = 0;
    int rotation_waited_ = 0; // events
};

} // namespace xsgit::record
