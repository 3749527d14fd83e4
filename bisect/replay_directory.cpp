// SPDX-License-Identifier: MIT
// A signal can come at any time, in the middle of a play or while the command runs: the handler does no more than remove names,
// and commands that are started meanwhile have signals as they were.
#include "bisect/replay_directory.hpp"

#include "inspect/failure.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fmt/core.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::replay {

namespace {

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/// For the handler, which may not use memory that changes.
struct Names {
    std::string directory, session, state;
} names;
struct sigaction before[std::size(kEnding)];

void remove_all() noexcept
{
    ::unlink(names.session.c_str());
    ::unlink(names.state.c_str());
    ::rmdir(names.directory.c_str());
}

/// Ends the process by the signal, as if nobody had caught it: SA_RESETHAND has made it so.
void take_along(int signal)
{
    remove_all();
    ::raise(signal);
}

/// Holds the signals back while the handler's names change.
class Held {
public:
    Held()
    {
        sigset_t set;
        sigemptyset(&set);
        for (const int s : kEnding)
            sigaddset(&set, s);
        sigprocmask(SIG_BLOCK, &set, &before_);
    }
    ~Held() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
    Held(const Held &) = delete;

private:
    sigset_t before_{};
};

} // namespace

ReplayDirectory::ReplayDirectory()
{
    const char *const wanted = std::getenv("TMPDIR");
    path_ = std::string(wanted && *wanted == '/' ? wanted : "/tmp") + "/xs-replay-XXXXXX";
    const Held held;
    if (!::mkdtemp(path_.data()))
        throw inspect::ToolFailure(
            inspect::kNoRepository,
            fmt::format("cannot make the directory {}: {}; TMPDIR can name another place", path_,
                        std::generic_category().message(errno)));
    names = {path_, path_ + "/session", path_ + "/state"};
    for (std::size_t i = 0; i < std::size(kEnding); ++i) {
        struct sigaction action {};
        action.sa_handler = take_along;
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        sigaction(kEnding[i], nullptr, &before[i]);
        if (before[i].sa_handler != SIG_IGN) // nohup stays nohup
            sigaction(kEnding[i], &action, nullptr);
    }
}

ReplayDirectory::~ReplayDirectory()
{
    const Held held;
    for (std::size_t i = 0; i < std::size(kEnding); ++i)
        sigaction(kEnding[i], &before[i], nullptr);
    remove_all();
}

} // namespace xsgit::replay
