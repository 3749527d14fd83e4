// SPDX-License-Identifier: MIT
// A session as something to play: what clients did, step by step, and what they were answered.
#pragma once

#include "bisect/replay/process_replies.hpp"
#include "xsgit/session/record.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace xsgit::replay {

/// A session that cannot be played; the text says why.
struct NotPlayable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A message that a client got.
struct Received {
    std::size_t client = 0;
    bool event = false;
    bool closed = false; // no message: the daemon closed the connection
    session::Message message;
};

/// Something that a client did, or the daemon was told.
struct Step {
    std::uint64_t record = 0; // its number in the session, the description is 1
    std::uint64_t at_us = 0;
    std::size_t client = 0; // index in Script::clients; not used by Domains
    std::variant<session::Opened, session::Closed, session::Request, session::Domains> what;
    std::optional<session::Message> reply; // of a request, as recorded
    /// Steps whose replies its process had got before it sent this, but for those that the order within a
    /// connection and the `after` of other steps imply.
    std::vector<std::size_t> after;

    const session::Request *request() const noexcept { return std::get_if<session::Request>(&what); }
};

struct Script {
    session::Meta meta;
    std::optional<std::vector<session::Node>> start; // nullopt: not known
    std::vector<session::Watch> watches;             // at the begin; `conn` is the client's index
    std::vector<session::Opened> clients;            // one for each time that a connection was opened
    std::vector<Step> steps;
    std::vector<Received> received; // all messages, in order
    std::vector<std::uint64_t> received_records;
    std::size_t known_until = 0; // of `received`: behind it messages are missing
    bool complete = false;       // it has its end mark, and no messages are missing
    bool cut = false;            // steps were cut off: `received` has more than those that are there cause
    std::string damage;          // why reading ended early; empty: it did not

    std::size_t requests() const noexcept;
};

/// The largest session that is read, bytes.
inline constexpr std::uint64_t kScriptBytes = std::uint64_t{1} << 30;

struct Ending {
    session::Meta meta;
    std::string damage;    // why reading ended early; empty: it did not
    bool complete = false; // the end mark was there
};
/// Calls `each` with every record, its number behind it, as soon as it can be read; the description is number 1. `file` "-":
/// standard input. Throws session::NotASession, std::system_error, and what `each` throws.
Ending read_session(const std::string &file,
                    const std::function<void(const session::Record &, std::uint64_t)> &each);

/// Reads a session file ("-": standard input). Damage ends it (Script::damage). Throws session::NotASession,
/// NotPlayable, std::system_error.
Script load_script(const std::string &file);

/// From records as the reader gives them. Script::damage, and whether the end mark was there, are the caller's to add. Replies
/// to requests before the session are left out.
class ScriptBuilder {
public:
    void add(const session::Record &r, std::uint64_t number);
    /// What all records so far take, bytes, about.
    std::uint64_t memory() const noexcept { return memory_; }
    Script finish() &&;

private:
    void request(const session::Record &r, std::uint64_t number);
    struct Sent {
        std::size_t step;
        std::uint64_t moment; // ProcessReplies::now() when it was sent
    };
    struct Open {
        std::size_t client;
        std::vector<Sent> unanswered; // oldest first
        std::size_t next_unanswered = 0;
        std::set<std::uint32_t> transactions; // started in the session, not ended
    };
    bool began_before(const Open &o, const Step &step) const;
    void answered(Open &o, Step &step, const session::Reply &reply, std::uint64_t number);
    void lose_the_rest();
    Script script_;
    std::vector<std::pair<std::uint64_t, Open>> open_;            // sorted by id
    std::unordered_map<std::uint32_t, ProcessReplies> processes_; // by pid
    std::uint64_t memory_ = 0;
    bool dropped_ = false;

    Open &open(std::uint64_t conn);
    ProcessReplies *process(std::size_t client);
};

/// Only the steps for which `keep` (as many flags as there are steps) says so: connections are kept as long as something
/// of theirs is. Watch events are left out, as nobody knows whose they were, and who waited for whom is, too: put steps in
/// another order before, not afterwards.
Script subset(const Script &s, const std::vector<bool> &keep);

/// The first `n` steps, and what had been received by those who are there then.
Script first_steps(Script s, std::size_t n);

/// Where a session is to end: before the request that would be one too many, and before what is later.
struct Limit {
    std::uint64_t requests = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t at_us = std::numeric_limits<std::uint64_t>::max();
};
Script cut(Script s, const Limit &limit);

/// The store that the session starts with. Throws NotPlayable for what is no tree.
Tree start_tree(const std::vector<session::Node> &nodes);

/// "READ v", "ERROR ENOENT|", "event /a|token|", "(the connection was closed)".
std::string received_text(const Received &r);
/// "c3 WRITE /a|1", of a step.
std::string step_text(const Script &s, const Step &step);

} // namespace xsgit::replay
