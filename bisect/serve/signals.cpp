// SPDX-License-Identifier: MIT
#include "bisect/serve/signals.hpp"

#include <cerrno>
#include <sys/signalfd.h>
#include <system_error>

namespace xsgit::bisect {

Signals::Signals()
{
    sigset_t held;
    sigemptyset(&held);
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD})
        sigaddset(&held, s);
    // Who ignores it never hears of a child's end.
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &usual, &child_before_);
    struct sigaction ignored {};
    ignored.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignored, &pipe_before_);
    sigprocmask(SIG_BLOCK, &held, &before_);
    fd_.reset(signalfd(-1, &held, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd_)
        throw std::system_error(errno, std::generic_category(), "waiting for signals");
}

Signals::~Signals()
{
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    sigaction(SIGCHLD, &child_before_, nullptr);
    sigaction(SIGPIPE, &pipe_before_, nullptr);
}

sigset_t Signals::defaults() const noexcept
{
    sigset_t set;
    sigemptyset(&set);
    if (pipe_before_.sa_handler != SIG_IGN)
        sigaddset(&set, SIGPIPE);
    return set;
}

std::optional<Signals::Caught> Signals::take()
{
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
        return std::nullopt;
    return Caught{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

} // namespace xsgit::bisect
