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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

using namespace xsgit;
using namespace xsgit::server;

namespace {

/// What the processes share: the slot, and the journal reduced to its length.
struct World {
    SlotMemory slot;
    volatile std::uint64_t executed;
    volatile std::uint64_t garbled; // requests that did not arrive as sent
};

constexpr std::uint32_t kRequest = 11, kReply = 12;

/// The messages of both directions, made beforehand: making them must not be where most lives end.
class Messages {
public:
    /// One in `seldom` may be as large as can be; the others are small.
    explicit Messages(std::uint64_t seldom)
    {
        for (std::uint64_t n = 0; n < kPeriod; ++n) {
            requests_.push_back(make(n, kRequest, seldom));
            replies_.push_back(make(n, kReply, seldom));
        }
    }
    const std::string &request(std::uint64_t n) const { return requests_[n % kPeriod]; }
    const std::string &reply(std::uint64_t n) const { return replies_[n % kPeriod]; }

private:
    static constexpr std::uint64_t kPeriod = 1021;
    static std::string make(std::uint64_t n, std::uint32_t type, std::uint64_t seldom)
    {
        std::uint64_t x = (n + type) * 0x9e3779b97f4a7c15u;
        x ^= x >> 29;
        const std::uint64_t most = x % seldom == 0 ? kPayloadMax + 1 : 60;
        const std::uint32_t length = static_cast<std::uint32_t>((x >> 8) % most);
        const std::uint32_t header[4] = {type, static_cast<std::uint32_t>(n), 0, length};
        std::string m(kHeaderSize + length, '\0');
        std::memcpy(m.data(), header, sizeof header);
        for (std::size_t i = kHeaderSize; i < m.size(); ++i)
            m[i] = static_cast<char>(n * 31 + i * 7 + type);
        return m;
    }
    std::vector<std::string> requests_, replies_;
};

[[noreturn]] void pump(World &w, int fd, const Messages &messages)
{
    SocketTransport transport(fd);
    Slot slot(w.slot, transport);
    Outbox outbox;
    while (slot.frame() == Slot::Frame::Complete && slot.request_number() <= w.executed)
        slot.consume();
    for (std::uint64_t n = slot.last().event + 1; n <= w.executed; ++n)
        outbox.add({n, 0}, false, messages.reply(n));
    for (;;) {
        Slot::Send sending = slot.send();
        while (sending == Slot::Send::Done && !outbox.empty()) {
            const Outbox::Batch batch = outbox.take(slot.buffer(), Slot::buffer_size());
            sending = slot.start_batch(batch.bytes, batch.last);
        }
        if (slot.frame() == Slot::Frame::Complete && outbox.bytes() < 65536) {
            const std::uint64_t n = slot.request_number();
            if (n != w.executed + 1 || slot.request() != messages.request(n))
                w.garbled = w.garbled + 1;
            w.executed = n;
            outbox.add({n, 0}, false, messages.reply(n));
            slot.consume();
            continue;
        }
        const bool want_in = slot.frame() == Slot::Frame::Partial;
        pollfd p{fd, static_cast<short>((want_in ? POLLIN : 0) | (sending == Slot::Send::Full ? POLLOUT : 0)),
                 0};
        poll(&p, 1, 1); // does not wait for ever: the tracer may be waiting for this
        if (want_in && (p.revents & POLLIN) && slot.receive() == Slot::Receive::End)
            _exit(0);
    }
}

struct Client {
    const Messages &messages;
    int fd;
    std::string out, in;
    std::uint64_t made = 0, seen = 0;     // messages
    std::uint64_t sent = 0, received = 0; // bytes
    std::size_t piece_most = 9000;        // bytes sent at once
    bool exact = true;

    /// Sends and receives what goes without waiting, up to odd sizes.
    void move(std::mt19937 &random, std::uint64_t limit)
    {
        while (out.size() < 20000 && made < limit)
            out += messages.request(++made);
        const std::size_t piece = std::min<std::size_t>(out.size(), random() % piece_most);
        if (const ssize_t n = piece ? ::send(fd, out.data(), piece, MSG_DONTWAIT | MSG_NOSIGNAL) : 0; n > 0) {
            out.erase(0, static_cast<std::size_t>(n));
            sent += static_cast<std::uint64_t>(n);
        }
        char buffer[8192];
        if (const ssize_t n = ::recv(fd, buffer, 1 + random() % sizeof buffer, MSG_DONTWAIT); n > 0) {
            in.append(buffer, static_cast<std::size_t>(n));
            received += static_cast<std::uint64_t>(n);
        }
        for (;;) {
            const std::string &expected = messages.reply(seen + 1);
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

struct Stage {
    explicit Stage(std::uint64_t seldom) : messages(seldom)
    {
        void *memory =
            mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        world = new (memory) World{};
        Slot::reset(world->slot, 0, "");
        int ends[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        ours.reset(ends[0]);
        theirs.reset(ends[1]);
        client.fd = ours.get();
    }
    ~Stage() { munmap(world, sizeof(World)); }

    pid_t next_life(bool traced)
    {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ours.reset();
            if (traced) {
                ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
                raise(SIGSTOP);
            }
            pump(*world, theirs.get(), messages);
        }
        return child;
    }
    static void end(pid_t child)
    {
        kill(child, SIGKILL);
        REQUIRE(waitpid(child, nullptr, 0) == child);
    }
    /// One undisturbed life answers what is open; then both streams must be complete and exact.
    void finish()
    {
        const pid_t child = next_life(false);
        const std::int64_t until = now_us() + 20'000'000;
        while (now_us() < until && client.exact && client.seen != client.made)
            client.move(random, client.made);
        end(child);
        CHECK(client.exact);
        CHECK(world->garbled == 0);
        CHECK(client.out.empty());
        CHECK(client.seen == client.made);
        CHECK(client.in.empty());
    }

    World *world = nullptr;
    UniqueFd ours, theirs;
    std::mt19937 random{20260101};
    Messages messages;
    Client client{messages, -1, {}, {}};
};

} // namespace

TEST_CASE("both streams are exact over hundreds of kills at any time")
{
    Stage s(16);
    constexpr int kKills = 500;
    for (int kills = 0; kills < kKills && s.client.exact; ++kills) {
        const pid_t child = s.next_life(false);
        const std::int64_t until = now_us() + s.random() % 2500;
        while (now_us() < until && s.client.exact)
            s.client.move(s.random, ~std::uint64_t{0});
        Stage::end(child);
    }
    s.finish();
    CHECK(s.client.made > 1000); // the test did move something
}

namespace {

/// What a successor would find if the process ended now, judged from outside: do the records account for every byte
/// that passed each way, and are the bytes in the buffers the right ones? Empty if so.
class Judge {
public:
    explicit Judge(const Stage &stage) : s_(stage) {}

    static std::uint64_t unread(int fd)
    {
        int n = 0;
        REQUIRE(ioctl(fd, FIONREAD, &n) == 0);
        return static_cast<std::uint64_t>(n);
    }
    std::string verdict()
    {
        const SlotMemory &m = s_.world->slot;
        const InputRecord &in = m.in[m.input_active];
        const std::uint64_t in_end = in.end + count(in.msg);
        const std::uint64_t have = in_end - in.start, consumed = bytes_before(requests_, in.first, true);
        if (in_end < in.start || in_end > kSlotInput ||
            consumed + have + unread(s_.theirs.get()) != s_.client.sent)
            return "input does not add up";
        if (!same(true, in.first, m.input + in.start, 0, have))
            return "input differs";
        if (s_.world->executed + 1 != in.first && s_.world->executed != in.first)
            return "request number";

        const OutputRecord &out = m.out[m.output_active];
        const std::uint64_t done = out.sent + count(out.msg);
        if (done > out.total || out.last_event > s_.world->executed)
            return "output record";
        const std::uint64_t gone = bytes_before(replies_, out.last_event + 1, false) - (out.total - done);
        if (gone != s_.client.received + unread(s_.ours.get()))
            return "output does not add up";
        // The batch ends with the message `last`; where it begins is not on record.
        std::uint64_t first = out.last_event + 1, length = 0;
        while (length < out.total)
            length += s_.messages.reply(--first).size();
        if (length != out.total || !same(false, first, m.output, done, out.total))
            return "output differs";
        return "";
    }

private:
    static std::uint64_t count(const mmsghdr &m) { return m.msg_len == kNoTransfer ? 0 : m.msg_len; }
    const std::string &message(bool request, std::uint64_t n) const
    {
        return request ? s_.messages.request(n) : s_.messages.reply(n);
    }
    std::uint64_t bytes_before(std::vector<std::uint64_t> &sums, std::uint64_t n, bool request) const
    {
        while (sums.size() <= n)
            sums.push_back(sums.empty() || sums.size() == 1
                               ? 0
                               : sums.back() + message(request, sums.size() - 1).size());
        return sums[n];
    }
    /// Whether bytes [from, to) at `at` are those of the messages from `n` on.
    bool same(bool request, std::uint64_t n, const char *at, std::uint64_t from, std::uint64_t to) const
    {
        for (std::uint64_t begin = 0; begin < to;) {
            const std::string &m = message(request, n++);
            const std::uint64_t skip = from > begin ? std::min<std::uint64_t>(from - begin, m.size()) : 0;
            const std::uint64_t end = std::min<std::uint64_t>(to, begin + m.size());
            if (begin + skip < end &&
                std::memcmp(at + begin + skip, m.data() + skip, end - begin - skip) != 0)
                return false;
            begin += m.size();
        }
        return true;
    }

    const Stage &s_;
    std::vector<std::uint64_t> requests_, replies_; // [n]: bytes of the messages 1 to n-1
};

} // namespace

TEST_CASE("a successor would find both streams exact, whatever the last instruction was")
{
    // Time alone hits system calls nearly always; this looks between all instructions.
    Stage s(4); // many large ones, for these are moved within the buffer
    Judge judge(s);
    const pid_t child = s.next_life(true);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    std::string verdict;
    int steps = 0;
    for (; steps < 100'000 && verdict.empty(); ++steps) {
        if (steps % 64 == 0) {
            // One piece at a time, mostly small: it is the odd rests that are moved within the buffer.
            s.client.piece_most = Judge::unread(s.theirs.get()) > 0 ? 1 : s.random() % 8 == 0 ? 9000 : 200;
            s.client.move(s.random, ~std::uint64_t{0});
        }
        REQUIRE(ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0);
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSTOPPED(status));
        verdict = judge.verdict();
    }
    Stage::end(child);
    CAPTURE(steps);
    CHECK(verdict == "");
    s.client.piece_most = 9000;
    s.finish();
    CHECK(s.client.made > 100); // the test did move something
}
