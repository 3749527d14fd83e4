// SPDX-License-Identifier: MIT
#include "server/daemon/server.hpp"

#include "server/daemon/daemonize.hpp"
#include "server/daemon/default_paths.hpp"
#include "server/daemon/fd_store.hpp"
#include "server/daemon/loop.hpp"
#include "server/daemon/notify.hpp"
#include "server/daemon/store_fold.hpp"
#include "server/daemon/xen_hypervisor.hpp"
#include "server/store/shortage.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <system_error>

namespace xsgit::server {

namespace {

/// For publishing what is left at an orderly stop; the keeper's is longer.
constexpr std::int64_t kStopPatienceMs = 15'000;

std::string boot_id()
{
    const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    char text[64];
    const ssize_t n = fd ? read(fd.get(), text, sizeof text) : -1;
    if (n <= 1)
        throw std::runtime_error("cannot read /proc/sys/kernel/random/boot_id; is /proc mounted?");
    return std::string(text, static_cast<std::size_t>(n - 1));
}

/// Readable when the keeper is dead; it may be already.
UniqueFd watch_keeper(pid_t keeper)
{
    UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, keeper, 0)));
    if (!fd && errno != ESRCH)
        throw std::system_error(errno, std::generic_category(), "pidfd_open (Linux 5.3 or newer is needed)");
    if (fd && getppid() == keeper)
        return fd;
    int ends[2]; // the end of a pipe that nobody writes to is readable, too
    if (pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    ::close(ends[1]);
    return UniqueFd(ends[0]);
}

/// Held by the one process that writes the journal; the last line of defence against two of them. Invalid: another
/// one serves. The keeper closes it for a server that was killed.
UniqueFd writer_lock(const std::string &state_dir)
{
    static constexpr int kTries = 250; // 5 s: whoever we follow is being ended
    const std::string path = state_dir + "/writer";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd)
        throw std::system_error(errno, std::generic_category(), "cannot open " + path);
    for (int i = 0; flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "cannot lock " + path);
        if (i == kTries)
            return {};
        usleep(20'000);
    }
    return fd;
}

/// Somebody has removed the store from under a running daemon: its next server has nothing to go on with, but serves.
/// Gives the clients that nothing is known of and that are served as new ones.
std::vector<int> strangers_of(const Birth &b)
{
    const std::string slots = b.options.slots_path();
    if (SlotFile::is_good(slots))
        return b.orphans;
    b.log->error(
        "lost",
        fmt::format("{} IS GONE or damaged: somebody has been there. Clients lose their connections, and "
                    "what else is gone starts empty",
                    slots));
    make_directory(b.options.repo, 0700, true);
    make_directory(b.options.state_dir(), 0700, true);
    SlotFile::create(slots);
    for (const int fd : b.orphans) // they have watches, and replies to come, that are gone
        end_connection(fd);
    return {};
}

UniqueFd signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        throw std::system_error(errno, std::generic_category(), "signalfd");
    return fd;
}

void announce(const Birth &b)
{
    if (b.shared->ready != 0)
        return;
    // The word first: once we count as ready, our keeper takes the predecessors to have heard it.
    for (const int predecessor : b.own.predecessors) {
        XSGIT_CRASH_POINT("takeover.ready");
        confirm_take_over(predecessor);
        XSGIT_CRASH_POINT("takeover.confirmed");
    }
    b.shared->ready = 1;
    for (const int predecessor : b.own.predecessors)
        ::close(predecessor);
    notify_service_manager(fmt::format("READY=1\nMAINPID={}\n", getpid()));
    if (b.options.foreground) {
        static constexpr std::string_view kText = "xenstored is ready\n";
        (void)!write(STDERR_FILENO, kText.data(), kText.size());
    } else {
        leave_terminal();
        b.log->set_target(Log::Target::Syslog);
        UniqueFd launcher(b.launcher);
        report_ready(launcher);
    }
}

/// So that a start after the loss of both processes has them.
void store_common_fds(const Birth &b)
{
    if (!FdStore::offered())
        return;
    const auto store = [&](std::string_view name, int fd) {
        // Briefly, as clients wait: only a service manager that hangs has no room for so long.
        static constexpr int kTries = 20;
        int error = EAGAIN;
        for (int i = 0; i < kTries && (error = FdStore::add(name, fd, false)) == EAGAIN; ++i)
            usleep(1000);
        if (error != 0)
            b.log->warning("store-fd",
                           fmt::format("the service manager does not take the descriptor \"{}\": {}", name,
                                       std::generic_category().message(error)));
        return error == 0;
    };
    if (b.own.listen_moved)
        FdStore::remove(kStoredListen);
    b.shared->listen_stored = store(kStoredListen, b.own.listen);
    if (const int events = b.shared->events; events >= 0)
        store(kStoredEvents, events);
}

/// The threads and everything opened CLOEXEC end here; sockets and lock go on.
void become_keeper(const Birth &b)
{
    Inheritance own = b.own;
    own.events = b.shared->events;
    std::vector<std::string> args = resume_arguments(b.args, b.options, own);
    std::vector<char *> argv;
    for (std::string &arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    XSGIT_CRASH_POINT("keeper.becoming");
    execv("/proc/self/exe", argv.data());
    throw std::system_error(errno, std::generic_category(), "the keeper has died and cannot be replaced");
}

/// The C daemon's default.
constexpr std::uint64_t kEventTimeoutS = 20;

std::unique_ptr<Hypervisor> reach_hypervisor(const Birth &b)
{
    const int inherited = b.shared->events;
    if (b.options.standalone) {
        // Of a daemon that had rings, in whose place this one is: guests hear no more of us.
        if (inherited >= 0) {
            ::close(inherited);
            if (FdStore::offered())
                FdStore::remove(kStoredEvents);
        }
        b.shared->events = -1;
        return std::make_unique<Standalone>();
    }
    auto xen = std::make_unique<XenHypervisor>(inherited);
    b.shared->events = xen->fd();
    xen->settle();
    return xen;
}

int serve(const Birth &b)
{
    prctl(PR_SET_NAME, "xenstored");
    require_spare_descriptors(); // too few look like damage to who cannot open a file
    const UniqueFd signal_fd = signals(), keeper_fd = watch_keeper(b.keeper);
    const std::vector<int> strangers = strangers_of(b);
    XSGIT_CRASH_POINT("recover.server");
    const UniqueFd writer = writer_lock(b.options.state_dir());
    if (!writer)
        return kExitSuperseded;
    SentNames names;
    const std::unique_ptr<SlotFile> slots = SlotFile::open(b.options.slots_path());
    if (!slots)
        throw std::runtime_error(b.options.slots_path() + " is of another version");
    const std::unique_ptr<Store> store =
        Store::open({b.options.repo, boot_id(), b.options.repo_size, sent_before(*slots)},
                    [&](const std::string &line) { b.log->warning("store", line); });
    StoreFold fold(*store);
    const std::unique_ptr<Hypervisor> hypervisor = reach_hypervisor(b);
    Trace trace;
    for (const std::string &change : b.options.trace_control)
        trace.set(change);
    if (!b.options.trace_file.empty() && !trace.open(b.options.trace_file))
        b.log->error("trace", fmt::format("cannot open the trace file {}: {}; going on without",
                                          b.options.trace_file, std::generic_category().message(errno)));
    ControlService control(fold, trace, *b.log);
    // Of the command line once: what was changed since is state, and outlives a killed server.
    const std::string settings = b.shared->ready == 0 ? settings_facts(b.options) : std::string();
    const auto ms = [](std::uint64_t seconds) {
        return static_cast<std::int64_t>(std::min<std::uint64_t>(seconds, 1u << 30)) * 1000;
    };
    Loop loop({fold, *slots, names, *hypervisor, control, trace, *b.log, b.own.listen, signal_fd.get(),
               keeper_fd.get(), b.options.state_dir(), settings, b.blame,
               ms(b.options.watch_event_timeout.value_or(kEventTimeoutS)),
               b.options.ring_scan ? ms(*b.options.ring_scan) : Loop::kRingScanMs, kRingConnections,
               FdStore::offered()});
    loop.resume(strangers);
    XSGIT_CRASH_POINT("recover.done");
    announce(b);
    store_common_fds(b);
    if (loop.run() == Loop::End::KeeperGone)
        become_keeper(b);
    loop.store_now();
    if (!store->sync(kStopPatienceMs))
        b.log->error("stop",
                     "history is not complete: the rest is in the journal, and the next start continues it");
    return kExitStopped;
}

} // namespace

int run_server(const Birth &birth) noexcept
{
    try {
        return serve(birth);
    } catch (const std::exception &e) {
        birth.log->error("failed", e.what());
        return kExitFailed;
    }
}

} // namespace xsgit::server
