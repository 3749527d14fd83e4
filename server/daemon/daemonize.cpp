// SPDX-License-Identifier: MIT
#include "server/daemon/daemonize.hpp"

#include <cerrno>
#include <fcntl.h>
#include <system_error>

namespace xsgit::server {

namespace {

pid_t fork_or_throw()
{
    const pid_t pid = fork();
    if (pid < 0)
        throw std::system_error(errno, std::generic_category(), "cannot start a process");
    return pid;
}

} // namespace

UniqueFd daemonize()
{
    int ends[2];
    if (pipe2(ends, 0) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    UniqueFd outcome(ends[0]), report(ends[1]);
    if (fork_or_throw() > 0) {
        report.reset();
        char byte;
        ssize_t n;
        do
            n = read(outcome.get(), &byte, 1);
        while (n < 0 && errno == EINTR);
        _exit(n == 1 ? 0 : 1);
    }
    outcome.reset();
    setsid();
    if (fork_or_throw() > 0)
        _exit(0);
    if (chdir("/") != 0)
        throw std::system_error(errno, std::generic_category(), "chdir /");
    return report;
}

void report_ready(UniqueFd &pipe)
{
    if (pipe)
        (void)!write(pipe.get(), "1", 1);
    pipe.reset();
}

void leave_terminal()
{
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; null && fd <= 2; ++fd)
        dup2(null.get(), fd);
}

} // namespace xsgit::server
