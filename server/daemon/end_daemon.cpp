// SPDX-License-Identifier: MIT
#include "server/daemon/end_daemon.hpp"

#include "server/daemon/peer.hpp"

#include <csignal>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <sys/stat.h>

namespace xsgit::server {

namespace {

bool has_open(pid_t process, int file)
{
    struct stat wanted = {};
    struct stat theirs = {};
    std::error_code error;
    if (fstat(file, &wanted) == 0)
        for (const auto &fd : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", process), error))
            if (stat(fd.path().c_str(), &theirs) == 0 && theirs.st_ino == wanted.st_ino &&
                theirs.st_dev == wanted.st_dev)
                return true;
    return false;
}

} // namespace

bool end_daemon(pid_t keeper, int lock) noexcept
try {
    // Its number may be another's by now, were it to end without its server.
    if (!program_name(keeper).starts_with("xenstored") || !has_open(keeper, lock) ||
        kill(keeper, SIGSTOP) != 0)
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
