// SPDX-License-Identifier: MIT
// A program that runs beside a server and sees it as the host's xenstored.
#pragma once

#include "bisect/serve/past_server.hpp"
#include "bisect/serve/signals.hpp"

#include <string>
#include <utility>
#include <vector>

namespace xsgit::bisect {

struct Command {
    std::vector<std::string> words; // not empty; the first is looked up in $PATH
    std::vector<std::pair<std::string, std::string>> environment; // on top of ours
    bool output_to_errors = false; // its standard output goes where our errors go
};

struct CommandEnd {
    int status = 0;       // as a shell says it: 128 + N if signal N ended it, or came before it was started
    int signal_to_us = 0; // the first that asked us to end (and was passed on); 0: none
};

/// Starts it with XENSTORED_PATH and XENSTORED_RUNDIR naming the server's socket, and serves until it has ended.
/// Signals are passed on to it, but those of the terminal, which it got itself; one that waits already and asks us to
/// end keeps it from being started. Throws inspect::ToolFailure with a
/// shell's code if it cannot be started (127 not found, else 126).
CommandEnd run_beside(PastServer &server, const Command &command, Signals &signals);

} // namespace xsgit::bisect
