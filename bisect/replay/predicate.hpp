// SPDX-License-Identifier: MIT
// What it means that a session fails, and how it is tried out.
#pragma once

#include "bisect/replay/record_again.hpp"
#include "bisect/replay/replay.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace xsgit::replay {

/// To whom sessions are played.
struct Stage {
    std::string against; // a socket; empty: the engine in this process
    std::string compare; // another socket, or "engine"; empty: nobody
    std::string reset;   // a shell command that makes the daemons fresh, before each try; empty: none
    std::chrono::milliseconds patience{10000};
    bool lenient = false; // in comparisons: see same_message()
};

/// A target for one play of `script`. Throws NotPlayable.
std::unique_ptr<Target> make_target(const std::string &socket, const Script &script, const Stage &stage);

/// Runs "sh -c `command`" with these variables on top of the environment, its standard output on standard error; gives its exit
/// status, 128 + signal if it was killed. Throws std::system_error.
int run_shell(const std::string &command, const std::vector<std::pair<std::string, std::string>> &variables);

/// Brings the daemons into the state that a play starts from. Throws TargetFailed if the command fails.
void reset(const Stage &stage);

/// A node at the end of the session.
struct NodePredicate {
    std::string path;
    std::optional<std::string> value; // it is there with just this value
    bool exists = false, missing = false;
};
bool holds(const NodePredicate &p, Target &target, const Script &script);

using Fails = std::function<bool(const Script &)>;

/// Each plays the script on a fresh target. They throw what targets throw.
/// At the end the node is as described.
Fails fails_by_node(const Stage &stage, const NodePredicate &p);
/// `command` says so by exit status 0; it finds the session's file in XS_SESSION, the state at the end in process in XS_STATE, and
/// the daemon played to in XENSTORED_PATH. `dir`: for these files.
Fails fails_by_command(const Stage &stage, const std::string &command, const std::string &dir);
/// The request of `baseline`'s difference still gets the reply that the recording does not have. Nullopt when the difference is in
/// no reply: then nobody can say which request it belongs to.
std::optional<Fails> fails_by_check(const Stage &stage, const Script &script, const Outcome &baseline);
/// The two daemons differ.
Fails fails_by_compare(const Stage &stage);

} // namespace xsgit::replay
