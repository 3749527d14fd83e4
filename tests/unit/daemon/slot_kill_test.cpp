// SPDX-License-Identifier: MIT
// The promise of the slot: a process that moves requests in and replies out is killed at any instruction,
// a successor goes on, and both byte streams are exact.
#include "server/daemon/outbox.hpp"
#include "server/daemon/slot.hpp"
#include "server/daemon/socket_transport.hpp"
#include "server/daemon/unique_fd.hpp"

#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <new>
#include <poll.h>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::server;

namespace {

/// What the processes share: the slot, and the journal reduced to its length.
struct World {
    SlotMemory slot;
    volatile std::uint64_t executed;
    volatile std::uint64_t garbled; // requests that did not arrive as sent
};

std::string message(std::uint64_t number, std::uint32_t salt)
{
    // Mostly small, sometimes as large as can be.
    std::uint64_t x = (number + salt) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    const std::uint32_t length =
        static_cast<std::uint32_t>(x % 16 == 0 ? (x >> 8) % (kPayloadMax + 1) : (x >> 8) % 60);
    const std::uint32_t header[4] = {salt, static_cast<std::uint32_t>(number), 0, length};
    std::string m(kHeaderSize + length, '\0');
    std::memcpy(m.data(), header, sizeof header);
    for (std::size_t i = kHeaderSize; i < m.size(); ++i)
        m[i] = static_cast<char>(number * 31 + i * 7 + salt);
    return m;
}

constexpr std::uint32_t kRequest = 11, kReply = 12;

[[noreturn]] void pump(World &w, int fd)
{
    SocketTransport transport(fd);
    Slot slot(w.slot, transport);
    Outbox outbox;
    while (slot.frame() == Slot::Frame::Complete && slot.request_number() <= w.executed)
        slot.consume();
    for (std::uint64_t n = slot.last().event + 1; n <= w.executed; ++n)
        outbox.add({n, 0}, false, message(n, kReply));
    for (;;) {
        Slot::Send sending = slot.send();
        while (sending == Slot::Send::Done && !outbox.empty()) {
            const Outbox::Batch batch = outbox.take(slot.buffer(), Slot::buffer_size());
            sending = slot.start_batch(batch.bytes, batch.last);
        }
        if (slot.frame() == Slot::Frame::Complete && outbox.bytes() < 65536) {
            const std::uint64_t n = slot.request_number();
            if (n != w.executed + 1 || slot.request() != message(n, kRequest))
                w.garbled = w.garbled + 1;
            w.executed = n;
            outbox.add({n, 0}, false, message(n, kReply));
            slot.consume();
            continue;
        }
        const bool want_in = slot.frame() == Slot::Frame::Partial;
        pollfd p{fd, static_cast<short>((want_in ? POLLIN : 0) | (sending == Slot::Send::Full ? POLLOUT : 0)),
                 0};
        poll(&p, 1, -1);
        if (want_in && (p.revents & POLLIN) && slot.receive() == Slot::Receive::End)
            _exit(0);
    }
}

struct Client {
    int fd;
    std::string out, in;
    std::uint64_t made = 0, seen = 0;
    bool exact = true;

    /// Sends and receives what goes without waiting, up to odd sizes.
    void move(std::mt19937 &random, std::uint64_t limit)
    {
        while (out.size() < 20000 && made < limit)
            out += message(++made, kRequest);
        const std::size_t piece = std::min<std::size_t>(out.size(), random() % 9000);
        if (const ssize_t n = piece ? ::send(fd, out.data(), piece, MSG_DONTWAIT | MSG_NOSIGNAL) : 0; n > 0)
            out.erase(0, static_cast<std::size_t>(n));
        char buffer[8192];
        if (const ssize_t n = ::recv(fd, buffer, 1 + random() % sizeof buffer, MSG_DONTWAIT); n > 0)
            in.append(buffer, static_cast<std::size_t>(n));
        for (;;) {
            const std::string expected = message(seen + 1, kReply);
            if (in.size() < expected.size())
                break;
            exact = exact && in.compare(0, expected.size(), expected) == 0;
            in.erase(0, expected.size());
            ++seen;
        }
    }
};

std::int64_t now_us()
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

} // namespace

TEST_CASE("both streams are exact over hundreds of kills")
{
    void *memory = mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    World &world = *new (memory) World{};
    Slot::reset(world.slot, 0, "");
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    UniqueFd ours(ends[0]), theirs(ends[1]);

    std::mt19937 random(20260101);
    Client client{ours.get(), {}, {}};
    constexpr int kKills = 500;
    int kills = 0;
    for (bool last = false; !last;) {
        last = kills == kKills;
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ours.reset();
            pump(world, theirs.get());
        }
        const std::int64_t until = now_us() + (last ? 20'000'000 : random() % 2500);
        const std::uint64_t limit = last ? client.made : ~std::uint64_t{0};
        while (now_us() < until && client.exact && !(last && client.seen == client.made))
            client.move(random, limit);
        kill(child, SIGKILL);
        REQUIRE(waitpid(child, nullptr, 0) == child);
        ++kills;
    }
    CHECK(client.exact);
    CHECK(world.garbled == 0);
    CHECK(client.out.empty());
    CHECK(client.seen == client.made);
    CHECK(client.in.empty());
    CHECK(client.made > 1000); // the test did move something
    MESSAGE(client.made << " requests over " << kKills << " kills");
    munmap(memory, sizeof(World));
}
