// SPDX-License-Identifier: MIT
#include "bisect/serve/command.hpp"

#include "inspect/failure.hpp"
#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::bisect {

namespace {

/// Pointers for execve(); `texts` must outlive them.
std::vector<char *> pointers(std::vector<std::string> &texts)
{
    std::vector<char *> out;
    for (std::string &t : texts)
        out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>> &more)
{
    std::vector<std::string> out;
    for (char **e = environ; *e; ++e) {
        const std::string_view one = *e;
        const std::string_view name = one.substr(0, one.find('='));
        if (std::none_of(more.begin(), more.end(), [&](const auto &m) { return m.first == name; }))
            out.emplace_back(one);
    }
    for (const auto &[name, value] : more)
        out.push_back(name + "=" + value);
    return out;
}

struct SpawnSettings {
    SpawnSettings(const Command &command, const Signals &signals)
    {
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &signals.before());
        const sigset_t defaults = signals.defaults();
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawn_file_actions_init(&files);
        if (command.output_to_errors)
            posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    }
    ~SpawnSettings()
    {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings &) = delete;

    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
};

pid_t start(const Command &command, const PastServer &server, const Signals &signals)
{
    auto more = command.environment;
    more.emplace_back("XENSTORED_PATH", server.path());
    more.emplace_back("XENSTORED_RUNDIR", server.path().substr(0, server.path().rfind('/')));
    std::vector<std::string> words = command.words, environment = environment_with(more);
    const SpawnSettings settings(command, signals);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, words.front().c_str(), &settings.files, &settings.attributes,
                                   pointers(words).data(), pointers(environment).data());
    if (error != 0)
        throw inspect::ToolFailure(static_cast<inspect::ExitCode>(error == ENOENT ? 127 : 126),
                                   "cannot run " + escape(words.front()) + ": " +
                                       std::generic_category().message(error));
    return pid;
}

bool asks_to_end(int signal) { return signal != SIGCHLD && signal != SIGUSR1 && signal != SIGUSR2; }

/// Its status if it has ended.
std::optional<int> ended(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return std::nullopt;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

CommandEnd run_beside(PastServer &server, const Command &command, Signals &signals)
{
    CommandEnd end;
    while (const auto s = signals.take())
        if (asks_to_end(s->number)) {
            end.signal_to_us = s->number;
            end.status = 128 + s->number;
            return end;
        }
    const pid_t pid = start(command, server, signals);
    // The terminal's that came while it was started may have missed it: twice is better than never.
    for (bool started_just_now = true;; started_just_now = false) {
        if (!started_just_now)
            server.serve_until(signals.fd());
        while (const auto s = signals.take()) {
            if (s->number == SIGCHLD)
                continue;
            if (!s->from_terminal || started_just_now)
                kill(pid, s->number);
            if (end.signal_to_us == 0 && asks_to_end(s->number))
                end.signal_to_us = s->number;
        }
        if (const auto status = ended(pid)) {
            end.status = *status;
            return end;
        }
    }
}

} // namespace xsgit::bisect
