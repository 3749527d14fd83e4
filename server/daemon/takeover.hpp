// SPDX-License-Identifier: MIT
// Talking to the keeper of a running daemon: stop it, or take its place. The keeper listens at keeper.sock
// in the state directory (SOCK_SEQPACKET; same user or root).
//
//   newcomer: ControlRequest
//   Stop:     the keeper ends the server in order, answers one ControlReply, and exits
//   TakeOver: the keeper kills the server (always safe), then sends FdBatch messages, each with its descriptors as
//             SCM_RIGHTS and answered by one ControlReply, and at last one ControlReply of its own: from here on
//             the newcomer is the heir. Once it serves it says so by one more ControlReply, and the keeper
//             exits. If it vanishes before that, the keeper goes on as before; if it hangs, the keeper ends it first.
//             An heir that is itself taken over before it serves hands on the connections to those before it, so that
//             the one that serves in the end tells them all, even if somebody in the middle has died.
#pragma once

#include "server/daemon/log.hpp"
#include "server/daemon/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace xsgit::server {

enum class ControlOp : std::uint32_t { Stop = 1, TakeOver = 2 };

struct ControlRequest {
    char magic[8];
    std::uint32_t version;
    ControlOp op;
};
inline constexpr char kControlMagic[8] = {'x', 's', 'g', 'i', 't', 'k', 'p', 'r'};
inline constexpr std::uint32_t kControlVersion = 1;

struct ControlReply {
    std::uint32_t ok;
};

enum class FdRole : std::uint32_t {
    Lock = 1,
    Listen = 2,
    Control = 3,
    Slot = 4,
    Orphan = 5,
    Events = 6,
    Predecessor = 7
};

struct FdBatch {
    static constexpr std::uint32_t kMax = 64;
    std::uint32_t count;
    std::uint32_t last;
    struct {
        FdRole role;
        std::uint32_t slot; // role Slot: whose
    } fds[kMax];
};

/// What a keeper holds.
struct Inheritance {
    int lock = -1, listen = -1, control = -1;
    int events = -1; // handle of the event channels; -1: none yet
    /// Connections to keepers that wait for confirm_take_over(), and go on when the last copy is closed. Empty once
    /// a server of ours was ready.
    std::vector<int> predecessors;
    bool listen_stored = false; // `listen` came from the service manager, which has it still
    bool listen_moved = false;  // it is another one than the service manager may have
};

struct ControlClient {
    /// Nobody listens there: an invalid descriptor.
    static UniqueFd connect(const std::string &state_dir);
    /// Orderly stop. False: it did not answer, or ended otherwise.
    static bool stop(int socket);
    /// Takes everything over and puts the new numbers into the slots file. Orphans stay open for
    /// close_leftovers() to find. Nullopt: the other side did not go through with it. Throws std::runtime_error that says
    /// what to do if there are too few descriptors for what it has.
    static std::optional<Inheritance> take_over(int socket, const std::string &slots);
};

/// The newcomer's last word: it serves. Who does not hear it any more is dead, or about to end us.
void confirm_take_over(int socket);

/// The keeper's side of TakeOver, after the server is gone. A newcomer that does not serve after `patience` is killed:
/// it must be gone before anybody else writes. True: the newcomer serves. False: it has vanished, and the slots file has
/// our numbers again.
bool hand_over(int socket, const Inheritance &own, const std::string &slots, const std::vector<int> &orphans,
               std::chrono::seconds patience, Log &log);

/// Whether the process at the other end has closed the connection.
bool peer_gone(int socket) noexcept;

/// Whether the peer may give orders: root, or the user that we are.
bool may_control(int socket);

} // namespace xsgit::server
