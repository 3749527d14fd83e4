// SPDX-License-Identifier: MIT
// systemd's file descriptor store: copies of our descriptors that outlive server and keeper, and come back with the
// next start of the unit (sd_notify(3) FDSTORE=1, sd_listen_fds(3)). It is offered where $FDSTORE is set, as systemd 254
// does by itself and our unit does for older ones.
//
// systemd lets go of a stored socket as soon as that is hung up. So a connection that its client ends needs no word from
// us; one that we end is shut down, or the client would never hear of it while the copy is open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

/// Names of stored descriptors. A connection's is unique only to be read, and to be let go alone: which one it is says
/// the socket's cookie.
inline constexpr std::string_view kStoredListen = "listen", kStoredEvents = "events",
                                  kStoredClient = "client-";
std::string stored_client(std::uint64_t conn);

class FdStore {
public:
    static bool offered() noexcept;
    /// 0 or an errno; EAGAIN: may be tried again. Not an error: the store is full, which only its log says.
    static int add(std::string_view name, int fd, bool until_hangup) noexcept;
    static int remove(std::string_view name) noexcept;
};

/// A descriptor that came with the start.
struct StoredFd {
    std::string name;
    int fd;
};

/// What $LISTEN_FDS passes, if it is meant for this process; only once. Children hear nothing of it.
std::vector<StoredFd> take_stored_fds();

/// Closes a connection for everybody who has a copy of it.
void end_connection(int fd) noexcept;

} // namespace xsgit::server
