// SPDX-License-Identifier: MIT
#include "server/daemon/end_daemon.hpp"

#include "server/daemon/peer.hpp"

#include <csignal>
#include <fmt/core.h>
#include <fstream>

namespace xsgit::server {

bool end_daemon(pid_t keeper) noexcept
try {
    // Its number may be another's by now, were it to end without its server.
    if (!program_name(keeper).starts_with("xenstored") || kill(keeper, SIGSTOP) != 0)
        return false; // stopped first: a keeper starts the next server at once
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", keeper)); // see proc(5)
    bool whole = children.is_open();
    for (pid_t child; children >> child;)
        whole = kill(child, SIGKILL) == 0 && whole;
    return kill(keeper, SIGKILL) == 0 && whole;
} catch (...) {
    return false;
}

} // namespace xsgit::server
