// SPDX-License-Identifier: MIT
// Tries of a session.
#include "bisect/replay/predicate.hpp"

#include "bisect/replay/runner.hpp"
#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::replay {

namespace {

void write_file(const std::string &path,
                const std::function<void(const std::function<void(std::string_view)> &)> &fill)
{
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path.c_str(), "wb"), &std::fclose);
    bool good = file != nullptr;
    fill([&](std::string_view part) {
        good = good && std::fwrite(part.data(), 1, part.size(), file.get()) == part.size();
    });
    if (!good || std::fflush(file.get()) != 0)
        throw std::system_error(errno, std::generic_category(), path);
}

} // namespace

std::unique_ptr<Target> make_target(const std::string &socket, const Script &script, const Stage &stage)
{
    if (socket.empty() || socket == "engine")
        return std::make_unique<EngineTarget>(script);
    return std::make_unique<SocketTarget>(socket, stage.patience);
}

int run_shell(const std::string &command, const std::vector<std::pair<std::string, std::string>> &variables)
{
    std::vector<std::string> environment;
    for (char **v = environ; *v; ++v)
        environment.emplace_back(*v);
    for (const auto &variable : variables) {
        const std::string head = variable.first + "=";
        std::erase_if(environment, [&](const std::string &v) { return v.starts_with(head); });
        environment.push_back(head + variable.second);
    }
    std::vector<char *> env;
    for (std::string &v : environment)
        env.push_back(v.data());
    env.push_back(nullptr);
    std::string shell = "sh", option = "-c", text = command;
    char *argv[] = {shell.data(), option.data(), text.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, "/bin/sh", &files, nullptr, argv, env.data());
    posix_spawn_file_actions_destroy(&files);
    if (error != 0)
        throw std::system_error(error, std::generic_category(), "/bin/sh");
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void reset(const Stage &stage)
{
    if (stage.reset.empty())
        return;
    if (const int status = run_shell(stage.reset, {}))
        throw TargetFailed(fmt::format("--reset: the command ended with status {}", status));
}

bool holds(const NodePredicate &p, Target &target, const Script &script)
{
    const std::size_t client = script.clients.size(); // nobody's
    session::Opened who;
    who.domid = 0;
    who.comm = "xs-replay";
    target.open(client, who);
    session::Request r;
    r.type = static_cast<std::uint32_t>(server::MsgType::Read);
    r.req_id = 1;
    r.payload = p.path + '\0';
    std::vector<Received> came;
    target.request(client, r, nullptr, came);
    target.close(client, came);
    for (const Received &m : came)
        if (m.client == client && !m.event && !m.closed) {
            const bool there = m.message.type == r.type;
            return p.missing ? !there : there && (!p.value || m.message.payload == *p.value);
        }
    return false;
}

Fails fails_by_node(const Stage &stage, const NodePredicate &p)
{
    return [stage, p](const Script &script) {
        reset(stage);
        const auto target = make_target(stage.against, script, stage);
        replay(script, *target, {});
        return holds(p, *target, script);
    };
}

Fails fails_by_command(const Stage &stage, const std::string &command, const std::string &dir)
{
    return [=](const Script &script) {
        reset(stage);
        const auto target = make_target(stage.against, script, stage);
        std::vector<std::pair<std::string, std::string>> variables{{"XS_SESSION", dir + "/session"}};
        Answers answers;
        ReplayOptions options;
        options.after = [&](const Step &, const std::vector<Received> &came) { answers.push_back(came); };
        replay(script, *target, options);
        write_file(dir + "/session", [&](const auto &sink) { write_session(script, answers, sink); });
        if (const auto *engine = dynamic_cast<const EngineTarget *>(target.get())) {
            write_file(dir + "/state", [&](const auto &sink) { sink(state_text(engine->state())); });
            variables.emplace_back("XS_STATE", dir + "/state");
        } else {
            variables.emplace_back("XENSTORED_PATH", stage.against);
        }
        return run_shell(command, variables) == 0;
    };
}

std::optional<Fails> fails_by_check(const Stage &stage, const Script &script, const Outcome &baseline)
{
    const Difference &d = *baseline.difference;
    if (baseline.step >= script.steps.size() || !d.expected || !d.got || d.expected->event || d.got->event)
        return std::nullopt;
    const std::uint64_t record = script.steps[baseline.step].record;
    const Received wrong = *d.got;
    return [=](const Script &smaller) {
        reset(stage);
        const auto target = make_target(stage.against, smaller, stage);
        bool still = false;
        ReplayOptions options;
        options.after = [&](const Step &step, const std::vector<Received> &came) {
            for (const Received &m : came)
                still = still || (step.record == record && m.client == step.client &&
                                  same_message(wrong, m, stage.lenient));
        };
        options.before = [&](const Step &) { return !still; };
        replay(smaller, *target, options);
        return still;
    };
}

Fails fails_by_compare(const Stage &stage)
{
    return [=](const Script &script) {
        reset(stage);
        const auto a = make_target(stage.against, script, stage),
                   b = make_target(stage.compare, script, stage);
        ReplayOptions options;
        options.lenient = stage.lenient;
        return compare(script, *a, *b, options).difference.has_value();
    };
}

} // namespace xsgit::replay
