// SPDX-License-Identifier: MIT
#include "server/daemon/takeover.hpp"

#include "server/daemon/end_daemon.hpp"
#include "server/daemon/local_socket.hpp"
#include "server/daemon/peer.hpp"
#include "server/daemon/slot_file.hpp"
#include "server/store/shortage.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/core.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>

namespace xsgit::server {

namespace {

constexpr int kStepSeconds = 5;
/// An orderly stop publishes all history first.
constexpr int kStopSeconds = 60;

bool request(int socket, ControlOp op)
{
    ControlRequest r{};
    std::memcpy(r.magic, kControlMagic, sizeof r.magic);
    r.version = kControlVersion;
    r.op = op;
    return send_message(socket, &r, sizeof r);
}

struct Item {
    FdRole role;
    std::uint32_t slot;
    int fd;
};

} // namespace

UniqueFd ControlClient::connect(const std::string &state_dir)
{
    UniqueFd fd = connect_to(state_dir + "/keeper.sock", SOCK_SEQPACKET);
    if (fd)
        set_timeout(fd.get(), kStepSeconds);
    return fd;
}

bool ControlClient::stop(int socket)
{
    ControlReply reply{};
    set_timeout(socket, kStopSeconds);
    return request(socket, ControlOp::Stop) && receive_message(socket, &reply, sizeof reply) && reply.ok;
}

std::optional<Inheritance> ControlClient::take_over(int socket, const std::string &slots)
{
    if (!request(socket, ControlOp::TakeOver))
        return std::nullopt;
    Inheritance got;
    std::vector<SlotFd> numbers;
    std::vector<int> received;
    FdBatch batch{};
    while (!batch.last) {
        XSGIT_CRASH_POINT("takeover.batch");
        std::vector<int> fds;
        const bool whole = receive_message(socket, &batch, sizeof batch, &fds);
        received.insert(received.end(), fds.begin(), fds.end());
        if (!has_spare_descriptors()) { // the other side goes on when the connection is closed
            for (const int fd : received)
                ::close(fd);
            require_spare_descriptors();
            throw std::runtime_error(
                "the limit of file descriptors is too low for the daemon's connections: raise it "
                "(LimitNOFILE= of the service, ulimit -n)");
        }
        bool good = whole && batch.count <= FdBatch::kMax && fds.size() == batch.count;
        for (std::uint32_t i = 0; good && i < batch.count; ++i)
            switch (batch.fds[i].role) {
            case FdRole::Lock:
                got.lock = fds[i];
                break;
            case FdRole::Listen:
                got.listen = fds[i];
                break;
            case FdRole::Control:
                got.control = fds[i];
                break;
            case FdRole::Slot:
                numbers.push_back({batch.fds[i].slot, fds[i], 0});
                break;
            case FdRole::Events:
                got.events = fds[i];
                break;
            case FdRole::Predecessor:
                got.predecessors.push_back(fds[i]);
                break;
            case FdRole::Orphan:
                break;
            }
        const ControlReply reply{good};
        good = send_message(socket, &reply, sizeof reply) && good;
        if (!good) {
            for (const int fd : received)
                ::close(fd);
            return std::nullopt;
        }
    }
    // Only this word makes us the heir: without it the other side may have given us up, and go on itself.
    if (ControlReply go{}; !receive_message(socket, &go, sizeof go) || !go.ok) {
        for (const int fd : received)
            ::close(fd);
        return std::nullopt;
    }
    XSGIT_CRASH_POINT("takeover.heir");
    write_slot_fds(slots, numbers);
    XSGIT_CRASH_POINT("takeover.numbers");
    return got;
}

void confirm_take_over(int socket)
{
    const ControlReply serving{1};
    send_message(socket, &serving, sizeof serving);
}

namespace {

bool send_all(int socket, const std::vector<Item> &items)
{
    for (std::size_t at = 0; at < items.size(); at += FdBatch::kMax) {
        FdBatch batch{};
        batch.count = static_cast<std::uint32_t>(std::min<std::size_t>(FdBatch::kMax, items.size() - at));
        batch.last = at + batch.count == items.size();
        std::vector<int> fds;
        for (std::uint32_t i = 0; i < batch.count; ++i) {
            batch.fds[i] = {items[at + i].role, items[at + i].slot};
            fds.push_back(items[at + i].fd);
        }
        ControlReply reply{};
        if (!send_message(socket, &batch, sizeof batch, fds) ||
            !receive_message(socket, &reply, sizeof reply) || !reply.ok)
            return false;
    }
    return true;
}

/// Sockets that are still ours have the numbers again that they have in our table.
void restore_numbers(const std::string &slots, const std::vector<SlotFd> &ours)
{
    std::vector<SlotFd> back;
    for (const SlotFd &s : read_slot_fds(slots)) {
        const auto it =
            std::find_if(ours.begin(), ours.end(), [&](const SlotFd &o) { return o.cookie == s.cookie; });
        if (it != ours.end())
            back.push_back({s.index, it->fd, s.cookie});
    }
    write_slot_fds(slots, back);
}

/// Whether the newcomer says that it serves. False: all its processes are gone.
bool serves(int socket, int lock, std::chrono::seconds patience, Log &log)
{
    set_timeout(socket, 0); // recovery takes its time; a newcomer that fails closes the connection
    const int wait_ms = static_cast<int>(std::chrono::milliseconds(patience).count());
    bool ended = false;
    for (pollfd fd{socket, POLLIN, 0}; poll(&fd, 1, wait_ms) == 0;) {
        const pid_t keeper = peer_of(socket).pid;
        ended = end_daemon(keeper, lock) || ended;
        log.error("take-over", fmt::format("the newcomer (process {}) has not come to serve in {} s; {}",
                                           keeper, patience.count(),
                                           ended ? "it was killed, and this daemon goes on"
                                                 : "this daemon goes on once all processes of it have ended: "
                                                   "find them with \"pgrep xenstored\" and kill them"));
    }
    ControlReply serving{};
    bool said = receive_message(socket, &serving, sizeof serving) && serving.ok;
    while (said && ended) // before it was killed: it will not
        said = receive_message(socket, &serving, sizeof serving);
    return said;
}

} // namespace

bool hand_over(int socket, const Inheritance &own, const std::string &slots, const std::vector<int> &orphans,
               std::chrono::seconds patience, Log &log)
{
    const std::vector<SlotFd> ours = read_slot_fds(slots);
    std::vector<Item> items = {
        {FdRole::Lock, 0, own.lock}, {FdRole::Listen, 0, own.listen}, {FdRole::Control, 0, own.control}};
    if (own.events >= 0)
        items.push_back({FdRole::Events, 0, own.events});
    for (const SlotFd &s : ours)
        if (s.cookie != 0 && socket_cookie(s.fd) == s.cookie)
            items.push_back({FdRole::Slot, s.index, s.fd});
    for (const int fd : own.predecessors)
        items.push_back({FdRole::Predecessor, 0, fd});
    for (const int fd : orphans)
        items.push_back({FdRole::Orphan, 0, fd});
    if (const ControlReply go{1}; send_all(socket, items) && send_message(socket, &go, sizeof go) &&
                                  serves(socket, own.lock, patience, log))
        return true;
    restore_numbers(slots, ours);
    return false;
}

bool peer_gone(int socket) noexcept
{
    pollfd fd{socket, 0, 0};
    return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool may_control(int socket)
{
    ucred cred{};
    socklen_t size = sizeof cred;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
           (cred.uid == 0 || cred.uid == geteuid());
}

} // namespace xsgit::server
