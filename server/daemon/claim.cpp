// SPDX-License-Identifier: MIT
#include "server/daemon/claim.hpp"

#include "server/daemon/adopt.hpp"
#include "server/daemon/default_paths.hpp"
#include "server/daemon/local_socket.hpp"
#include "server/daemon/slot_file.hpp"
#include "server/store/state_dir.hpp"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <fmt/core.h>
#include <memory>
#include <stdexcept>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::server {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(5);
constexpr useconds_t kPauseUs = 20'000;
constexpr int kBacklog = 1024;

std::string directory_of(const std::string &path)
{
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

void require_access(const std::string &repo)
{
    struct stat st {};
    if (stat(repo.c_str(), &st) == 0 && !S_ISDIR(st.st_mode))
        return; // other words for that
    if (access(repo.c_str(), R_OK | W_OK | X_OK) != 0 && errno == EACCES)
        throw std::runtime_error(
            repo + " may not be used: permission denied; it belongs to another user (root, for a "
                   "Xen host): run this as that one, or name another directory with --repo");
}

void make_directories(const Options &o)
{
    require_access(o.repo);
    // Nothing is put into somebody else's directory, not even a lock.
    if (look_at(StatePaths(o.repo), "") == StoreKind::Foreign)
        throw std::runtime_error(
            o.repo + " exists and is no store of this daemon; name another directory with --repo, "
                     "or move it away");
    if (o.repo == default_repository())
        make_directory(directory_of(o.repo), 0700, true);
    make_directory(o.repo, 0700, true);
    make_directory(o.state_dir(), 0700, true);
    make_directory(directory_of(o.socket), 0755, false);
}

/// The lock, held; an invalid descriptor when somebody else holds it. Not CLOEXEC: it is kept when
/// a server becomes the keeper.
UniqueFd lock(const std::string &path)
{
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
    if (!fd)
        throw std::runtime_error(
            fmt::format("cannot open {}: {}", path, std::generic_category().message(errno)));
    struct stat held {};
    struct stat named {};
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || fstat(fd.get(), &held) != 0 ||
        stat(path.c_str(), &named) != 0 || held.st_ino != named.st_ino || held.st_dev != named.st_dev)
        fd.reset();
    return fd;
}

/// The socket of the predecessor is kept, unless this daemon was told to be elsewhere. Its path is
/// left alone even then: the predecessor goes on there if we fail.
void settle_socket(Inheritance &own, const std::string &path)
{
    if (listens_at(own.listen, path))
        return;
    const int other = listen_at(path, SOCK_STREAM, kBacklog).release();
    ::close(own.listen);
    own.listen = other;
    own.listen_moved = true;
}

} // namespace

Claim claim_repository(const Options &o, const std::vector<StoredFd> &stored, Log &log)
{
    make_directories(o);
    if (!on_tmpfs(o.repo))
        log.warning("tmpfs",
                    fmt::format("{} is not on a tmpfs: the store will be slower, and it ends with this boot "
                                "all the same",
                                o.repo));
    const std::string state = o.state_dir();
    const auto give_up = Clock::now() + kPatience;
    for (;;) {
        Claim c;
        if (UniqueFd held = lock(state + "/lock")) {
            // Of a daemon that has died completely: guests are still there, and clients if their sockets were stored.
            std::unique_ptr<SlotFile> slots;
            if (access(o.slots_path().c_str(), F_OK) == 0)
                slots = SlotFile::open(o.slots_path());
            adopt(stored, o.socket, slots.get(), c.own, log);
            if (c.own.listen < 0)
                c.own.listen = listen_at(o.socket, SOCK_STREAM, kBacklog).release();
            if (!slots)
                SlotFile::create(o.slots_path());
            UniqueFd control = listen_at(state + "/keeper.sock", SOCK_SEQPACKET, 8);
            c.own.control = control.release();
            c.own.lock = held.release();
            return c;
        }
        if (UniqueFd keeper = ControlClient::connect(state))
            if (const auto got = ControlClient::take_over(keeper.get(), o.slots_path())) {
                c.own = *got;
                c.own.predecessors.push_back(keeper.release());
                c.taken_over = true;
                const auto slots = SlotFile::open(o.slots_path());
                discard(stored, slots.get());
                if (slots) {
                    for (const std::uint32_t index :
                         slots->used()) // perhaps to another service manager, or none
                        slots->memory(index).stored = 0;
                } else {
                    log.warning("slots", "the file of slots is of another version: connections are lost");
                    SlotFile::create(o.slots_path());
                }
                settle_socket(c.own, o.socket);
                return c;
            }
        if (Clock::now() > give_up)
            throw std::runtime_error(
                fmt::format("another process holds {}/lock and does not answer; see who with "
                            "\"fuser {}/lock\" and end it",
                            state, state));
        usleep(kPauseUs);
    }
}

void stop_running(const Options &o)
{
    require_access(o.repo);
    const UniqueFd keeper = ControlClient::connect(o.state_dir());
    if (!keeper)
        throw std::runtime_error(fmt::format("no daemon is running for {}", o.repo));
    if (!ControlClient::stop(keeper.get()))
        throw std::runtime_error("the daemon did not stop in order; its log says more");
}

} // namespace xsgit::server
