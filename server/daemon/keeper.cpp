// SPDX-License-Identifier: MIT
#include "server/daemon/keeper.hpp"

#include "server/daemon/clock.hpp"
#include "server/daemon/descriptors.hpp"
#include "server/daemon/local_socket.hpp"
#include "server/daemon/notify.hpp"
#include "server/daemon/pid_file.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <new>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <utility>

namespace xsgit::server {

namespace {

/// A server that lived shorter died quickly; after a few of those in a row, the next ones wait.
constexpr std::int64_t kQuickMs = 1000;
constexpr int kQuickFree = 3;
constexpr std::int64_t kPauseMs = 50, kPauseMostMs = 5000;
/// So many quick deaths before the first service: the start has failed.
constexpr int kQuickMost = 10;
/// A server that does not stop by itself is killed: its state is safe.
constexpr std::int64_t kStopMs = 45'000;
/// The guests of a host wait while a newcomer recovers the state: 10,000 of them do that for 2 s.
constexpr std::chrono::seconds kNewcomerPatience(60);
/// What a death adds to the blame of the request that was being executed (see Loop): somebody's SIGKILL is
/// hardly its fault, a crash is.
constexpr unsigned kBlameKill = 1, kBlameCrash = 4;

[[noreturn]] void broken(const char *what) { throw std::system_error(errno, std::generic_category(), what); }

/// The next server is as safe from the OOM killer as somebody made this one.
void copy_oom_score(pid_t from) noexcept
{
    const UniqueFd in(::open(fmt::format("/proc/{}/oom_score_adj", from).c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd out(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    char text[16];
    const ssize_t n = in && out ? read(in.get(), text, sizeof text) : 0;
    if (n > 0)
        (void)!write(out.get(), text, static_cast<std::size_t>(n));
}

} // namespace

Keeper::Keeper(const Options &options, const std::vector<std::string> &args, Inheritance own,
               std::optional<int> launcher, Log &log)
    : options_(options), args_(args), own_(std::move(own)), launcher_(launcher.value_or(-1)), log_(log)
{
    void *page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        broken("mmap");
    shared_ = new (page) Shared;
    shared_->ready = !launcher;
    shared_->events = own_.events;
    shared_->listen_stored = own_.listen_stored;
}

Keeper::~Keeper() { munmap(shared_, sizeof(Shared)); }

int Keeper::run()
{
    prctl(PR_SET_NAME, "xenstored-keep");
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal_fd_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signal_fd_)
        broken("signalfd");
    XSGIT_CRASH_POINT("keeper.begun");
    start_server();
    for (;;) {
        pollfd fds[] = {{signal_fd_.get(), POLLIN, 0}, {own_.control, POLLIN, 0}};
        if (poll(fds, 2, timeout()) < 0 && errno != EINTR)
            broken("poll");
        if (fds[0].revents)
            signalled();
        if (const auto status = reap())
            return *status;
        if (fds[1].revents)
            controlled();
        if (newcomer_)
            if (const auto status = hand_over_to(std::move(newcomer_)))
                return *status;
        if (server_ == 0 && stopping_)
            return stopped();
        if (server_ == 0 && now_ms() >= start_again_ms_)
            start_server();
        if (server_ > 0 && stopping_ && now_ms() >= start_again_ms_)
            kill(server_, SIGKILL);
    }
}

int Keeper::timeout() const
{
    if (server_ > 0 && !stopping_)
        return -1;
    return static_cast<int>(std::clamp<std::int64_t>(start_again_ms_ - now_ms(), 0, kStopMs));
}

/// Closes what a dead server has left open. Here and not in its successor, because nobody else changes the table now.
void Keeper::clear_table()
{
    if (was_ready()) { // the server has closed them
        launcher_ = -1;
        own_.predecessors.clear();
    }
    own_.events = shared_->events;
    std::vector<int> keep = own_.predecessors;
    keep.insert(keep.end(), {own_.lock, own_.listen, own_.control, own_.events, launcher_, signal_fd_.get(),
                             stop_asker_.get(), newcomer_.get()});
    reserve_.reset();
    try {
        orphans_ = close_leftovers(std::move(keep), options_.slots_path(), own_.listen);
    } catch (const std::system_error &e) {
        log_.error("descriptors", fmt::format("what the dead server has left open stays so: {}", e.what()));
        orphans_.clear();
    }
    keep_reserve();
}

/// A descriptor to look with at those of the clients, should they have taken all the rest.
void Keeper::keep_reserve() { reserve_ = UniqueFd(eventfd(0, EFD_CLOEXEC)); }

void Keeper::start_server()
{
    clear_table();
    XSGIT_CRASH_POINT("keeper.cleared");
    started_ms_ = now_ms();
    const pid_t self = getpid();
    // Like fork(), but with the table of descriptors in common. The C library's fork() cannot do that; what it
    // does besides (locks of other threads) is not needed, for there are no other threads.
    const long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0)
        _exit(run_server({options_, args_, own_, orphans_, blame_, self, launcher_, shared_, &log_}));
    if (pid < 0) {
        log_.error("clone", fmt::format("cannot start the server: {}; trying again in {} s. Processes may be "
                                        "limited too much: TasksMax= of the service, ulimit -u",
                                        std::generic_category().message(errno), kPauseMostMs / 1000));
        start_again_ms_ = now_ms() + kPauseMostMs;
        return;
    }
    server_ = static_cast<pid_t>(pid);
    XSGIT_CRASH_POINT("keeper.cloned");
    if (!options_.pid_file.empty() && !write_pid_file(options_.pid_file, server_))
        log_.error("pid-file", fmt::format("cannot write the pid file {}: {}", options_.pid_file,
                                           std::generic_category().message(errno)));
    notify_service_manager(fmt::format("MAINPID={}\n", server_));
}

void Keeper::signalled()
{
    signalfd_siginfo info;
    while (read(signal_fd_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            stop_server();
        else if (info.ssi_signo == SIGHUP && server_ > 0)
            kill(server_, SIGHUP);
    }
}

void Keeper::stop_server()
{
    stopping_ = true;
    start_again_ms_ = now_ms() + kStopMs;
    if (server_ > 0)
        kill(server_, SIGTERM);
}

std::optional<int> Keeper::reap()
{
    siginfo_t dead{};
    if (server_ <= 0 || waitid(P_PID, static_cast<id_t>(server_), &dead, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        dead.si_pid == 0)
        return std::nullopt;
    copy_oom_score(server_);
    int status = 0;
    waitpid(server_, &status, 0);
    return server_ended(status);
}

std::optional<int> Keeper::server_ended(int status)
{
    const pid_t was = std::exchange(server_, 0);
    XSGIT_CRASH_POINT("keeper.reaped");
    if (was_ready() && !options_.foreground)
        log_.set_target(Log::Target::Syslog);
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitStopped)
        return stopped();
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSuperseded) {
        log_.error("superseded",
                   fmt::format("another daemon serves {} by now; this one ends", options_.repo));
        return 1; // what we would clean up is the other's
    }
    const std::string how = WIFSIGNALED(status) ? fmt::format("was ended by signal {} ({})", WTERMSIG(status),
                                                              strsignal(WTERMSIG(status)))
                                                : fmt::format("ended with status {}", WEXITSTATUS(status));
    if (stopping_) {
        log_.error("stop",
                   fmt::format("server {} {} while it stopped; the next start recovers the state", was, how));
        clean_up();
        return 1;
    }
    const bool quick = now_ms() - started_ms_ < kQuickMs && !killed;
    quick_deaths_ = quick ? quick_deaths_ + 1 : 0;
    if (!was_ready() && (WIFEXITED(status) || quick_deaths_ >= kQuickMost)) {
        if (!WIFEXITED(status))
            log_.error("start", fmt::format("the server {} again and again; not started", how));
        clean_up();
        return 1;
    }
    blame_ = killed ? kBlameKill : kBlameCrash;
    const std::int64_t pause =
        quick_deaths_ <= kQuickFree
            ? 0
            : std::min(kPauseMostMs, kPauseMs << std::min(quick_deaths_ - kQuickFree, 10));
    start_again_ms_ = now_ms() + pause;
    log_.warning("restart", fmt::format("server {} {}; starting another{}", was, how,
                                        pause > 0 ? fmt::format(" in {} ms", pause) : ""));
    return std::nullopt;
}

int Keeper::stopped()
{
    clean_up();
    if (const ControlReply yes{1}; stop_asker_)
        send_message(stop_asker_.get(), &yes, sizeof yes);
    return 0;
}

void Keeper::controlled()
{
    UniqueFd client(accept4(own_.control, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client || !may_control(client.get()))
        return;
    set_timeout(client.get(), 1);
    ControlRequest r{};
    if (!receive_message(client.get(), &r, sizeof r) ||
        std::memcmp(r.magic, kControlMagic, sizeof r.magic) != 0 || r.version != kControlVersion)
        return;
    if (r.op == ControlOp::Stop) {
        stop_asker_ = std::move(client);
        stop_server();
    } else if (r.op == ControlOp::TakeOver) {
        newcomer_ = std::move(client);
    }
}

std::optional<int> Keeper::hand_over_to(UniqueFd newcomer)
{
    if (server_ > 0) {
        kill(server_, SIGKILL);
        copy_oom_score(server_);
        waitpid(server_, nullptr, 0);
        server_ = 0;
    }
    XSGIT_CRASH_POINT("handover.killed");
    newcomer_ = std::move(newcomer);
    clear_table();
    set_timeout(newcomer_.get(), 10);
    reserve_.reset();
    bool done = false;
    try {
        done = hand_over(newcomer_.get(), own_, options_.slots_path(), orphans_, kNewcomerPatience, log_);
    } catch (const std::system_error &e) {
        log_.error("take-over", e.what());
    }
    keep_reserve();
    newcomer_.reset();
    XSGIT_CRASH_POINT("handover.over");
    if (done)
        return 0; // those before us have been told by the newcomer, too
    log_.warning("take-over", "a newcomer wanted to take over and failed; going on");
    blame_ = 0;
    start_again_ms_ = 0;
    return std::nullopt;
}

void Keeper::clean_up() const
{
    if (!was_ready() && !std::all_of(own_.predecessors.begin(), own_.predecessors.end(), peer_gone))
        return; // everything is a predecessor's, which goes on
    // A socket that the service manager keeps takes in clients until the next start.
    if (!shared_->listen_stored)
        unlink(options_.socket.c_str());
    unlink((options_.state_dir() + "/keeper.sock").c_str());
    if (!options_.pid_file.empty())
        remove_pid_file(options_.pid_file);
}

} // namespace xsgit::server
