// SPDX-License-Identifier: MIT
// Copies of the clients' sockets for the service manager, which brings them back if server and keeper are both lost.
#include "server/daemon/loop.hpp"

#include "server/daemon/clock.hpp"
#include "server/daemon/fd_store.hpp"

#include <cerrno>
#include <fmt/core.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace xsgit::server {

namespace {

/// A connection is stored when it is so old. Most are gone by then (xenstore-read and the like), and process 1, which
/// works 50 us on each (0.7 ms if it has a thousand others, which it compares), hears nothing of them.
constexpr std::int64_t kStoreAgeMs = 10;
/// The manager's queue is full: the next try.
constexpr std::int64_t kStoreAgainMs = 10;
/// How long a stop waits for the manager to read.
constexpr std::int64_t kStorePatienceMs = 1000;

} // namespace

void Loop::store_later(const Connection &c)
{
    if (!p_.store_clients)
        return;
    if (to_store_.size() >= kSlotCount) // a manager that hangs
        to_store_.pop_front();
    to_store_.push_back({c.id, now_ms() + kStoreAgeMs});
}

void Loop::store_due()
{
    const std::int64_t now = now_ms();
    while (!to_store_.empty() && to_store_.front().due_ms <= now)
        if (!store_first()) {
            to_store_.front().due_ms = now + kStoreAgainMs;
            return;
        }
}

/// False: not now.
bool Loop::store_first()
{
    const std::uint64_t conn = to_store_.front().conn;
    const auto it = clients_.find(conn);
    if (it != clients_.end() && !it->second->closing) {
        const int error = FdStore::add(stored_client(conn), it->second->fd, true);
        if (error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS)
            return false;
        if (error == 0)
            p_.slots.memory(it->second->index).stored = 1;
        else if (!std::exchange(store_failed_, true))
            p_.log.warning("store-fd",
                           fmt::format("the service manager does not take a copy of connection {}: {}; "
                                       "that one ends if server and keeper are both lost",
                                       conn, std::generic_category().message(error)));
    }
    to_store_.pop_front();
    return true;
}

void Loop::store_now()
{
    if (!p_.store_clients)
        return;
    // Not connected as far as the journal knows: the next server takes it in.
    if (unadmitted_)
        FdStore::add(stored_client(unadmitted_->id), unadmitted_->fd, true);
    for (const std::int64_t give_up = now_ms() + kStorePatienceMs; !to_store_.empty();)
        if (!store_first()) {
            if (now_ms() >= give_up) {
                p_.log.warning("store-fd",
                               fmt::format("the service manager does not take the last {} connections; "
                                           "they end here",
                                           to_store_.size()));
                return;
            }
            usleep(1000);
        }
}

/// Closes a socket for good. A copy of it would keep the connection open.
void Loop::end(int fd) noexcept
{
    if (p_.store_clients)
        end_connection(fd);
    else
        ::close(fd);
}

} // namespace xsgit::server
