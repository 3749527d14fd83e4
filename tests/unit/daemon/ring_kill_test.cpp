// SPDX-License-Identifier: MIT
// The promise of the slot, for rings: a process that moves requests in and replies out ends between any two
// instructions; a successor accounts for every byte that the indexes in the guest's page say has passed.
#include "server/daemon/ring_transport.hpp"
#include "server/daemon/slot.hpp"
#include "tests/unit/daemon/memory_ring_host.hpp"

#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

/// What the processes share: the guest's page, the slot, and the journal reduced to its length.
struct World {
    RingPage page;
    SlotMemory slot;
    volatile std::uint64_t executed;
    volatile std::uint64_t garbled;
};

/// Message number `n` of a stream, from 1.
std::string message(std::uint64_t n, std::uint32_t type)
{
    const std::uint32_t length = static_cast<std::uint32_t>(n % 5 == 0 ? 1700 : n * 37 % 90);
    const std::uint32_t header[4] = {type, static_cast<std::uint32_t>(n), 0, length};
    std::string m(kHeaderSize + length, '\0');
    std::memcpy(m.data(), header, sizeof header);
    for (std::size_t i = kHeaderSize; i < m.size(); ++i)
        m[i] = static_cast<char>(n * 31 + i * 7 + type);
    return m;
}
constexpr std::uint32_t kRequest = 2, kReply = 11;

/// Executes requests, answers each; as a successor does it goes on where the slot is.
class Pump {
public:
    explicit Pump(World &w) : w_(w), transport_(w.page, w.slot.ring, host_), slot_(w.slot, transport_)
    {
        slot_.settle();
        while (slot_.frame() == Slot::Frame::Complete && slot_.request_number() <= w_.executed)
            slot_.consume();
    }
    void turn()
    {
        (void)slot_.send();
        if (slot_.idle() && slot_.last().event < w_.executed) {
            const std::string reply = message(slot_.last().event + 1, kReply);
            std::memcpy(slot_.buffer(), reply.data(), reply.size());
            (void)slot_.start_batch(reply.size(), {slot_.last().event + 1, 0});
        }
        if (slot_.frame() == Slot::Frame::Partial)
            (void)slot_.receive();
        if (slot_.frame() == Slot::Frame::Complete && w_.executed < slot_.last().event + 4) {
            const std::uint64_t n = slot_.request_number();
            if (n != w_.executed + 1 || slot_.request() != message(n, kRequest))
                w_.garbled = w_.garbled + 1;
            w_.executed = n;
            slot_.consume();
        }
    }

private:
    World &w_;
    MemoryRingHost host_;
    RingTransport transport_;
    Slot slot_;
};

/// Sees that what it receives is exact.
struct Guest {
    World &w;
    std::string out, in;
    std::uint64_t made = 0, seen = 0;
    bool exact = true;

    void move(std::size_t most, std::uint64_t limit)
    {
        RingPage &p = w.page;
        while (out.size() < 4000 && made < limit)
            out += message(++made, kRequest);
        const std::uint32_t prod = p.req_prod;
        std::size_t n = std::min<std::size_t>({most, out.size(), kRingSize - (prod - p.req_cons)});
        for (std::size_t i = 0; i < n; ++i)
            p.req[(prod + i) & kRingMask] = out[i];
        store_word(p.req_prod, prod + static_cast<std::uint32_t>(n));
        out.erase(0, n);
        n = std::min<std::size_t>(most, p.rsp_prod - p.rsp_cons);
        for (; n > 0; --n, ++p.rsp_cons)
            in += p.rsp[p.rsp_cons & kRingMask];
        for (std::string expected = message(seen + 1, kReply); in.size() >= expected.size();
             expected = message(seen + 1, kReply)) {
            exact = exact && in.compare(0, expected.size(), expected) == 0;
            in.erase(0, expected.size());
            ++seen;
        }
    }
};

std::uint64_t bytes_before(std::uint64_t n, std::uint32_t type)
{
    static std::vector<std::uint64_t> sums[2] = {{0, 0}, {0, 0}};
    std::vector<std::uint64_t> &s = sums[type == kReply];
    while (s.size() <= n)
        s.push_back(s.back() + message(s.size() - 1, type).size());
    return s[n];
}

/// What a successor finds in copies of page and slot. Empty if all is accounted for.
std::string verdict(const World &now, World &copy)
{
    std::memcpy(static_cast<void *>(&copy), &now, sizeof copy);
    MemoryRingHost host;
    RingTransport transport(copy.page, copy.slot.ring, host);
    Slot slot(copy.slot, transport);
    slot.settle();
    if (copy.slot.ring.in.valid || copy.slot.ring.out.valid)
        return "intent is left";
    if (copy.page.req_cons != now.page.req_cons || copy.page.rsp_prod != now.page.rsp_prod)
        return "an index was moved by guess";
    const InputRecord &in = copy.slot.in[copy.slot.input_active];
    const std::uint64_t end = in.end + (in.msg.msg_len == kNoTransfer ? 0 : in.msg.msg_len);
    if (static_cast<std::uint32_t>(bytes_before(in.first, kRequest) + end - in.start) != copy.page.req_cons)
        return "input does not add up";
    for (std::uint64_t n = in.first, at = in.start; at < end; ++n) {
        const std::string m = message(n, kRequest);
        const std::size_t there = std::min<std::size_t>(m.size(), end - at);
        if (std::memcmp(copy.slot.input + at, m.data(), there) != 0)
            return "input differs";
        at += there;
    }
    const OutputRecord &out = copy.slot.out[copy.slot.output_active];
    const std::uint64_t gone = out.sent + (out.msg.msg_len == kNoTransfer ? 0 : out.msg.msg_len);
    if (gone > out.total || out.last_event > copy.executed)
        return "output record";
    if (static_cast<std::uint32_t>(bytes_before(out.last_event + 1, kReply) - (out.total - gone)) !=
        copy.page.rsp_prod)
        return "output does not add up";
    const std::string m = out.total > 0 ? message(out.last_event, kReply) : std::string();
    if (std::memcmp(copy.slot.output + gone, m.data() + gone, out.total - gone) != 0)
        return "output differs";
    return "";
}

struct Stage {
    Stage()
    {
        void *memory =
            mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        world = new (memory) World{};
        Slot::reset(world->slot, 1, "");
        world->slot.ring.stage = RingStage::Serving;
    }
    ~Stage() { munmap(world, sizeof(World)); }
    World *world = nullptr;
    std::mt19937 random{20260102};
};

} // namespace

TEST_CASE("rings: a successor would find both streams exact, whatever the last instruction was")
{
    Stage s;
    Guest guest{*s.world, {}, {}};
    const auto copy = std::make_unique<World>();
    std::string found;
    int steps = 0, lives = 0;
    constexpr int kSteps = 60'000, kLife = 9'000;
    while (steps < kSteps && found.empty()) {
        // Each life begins where the last one was ended, in the middle of anything.
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            raise(SIGSTOP);
            for (Pump pump(*s.world);;)
                pump.turn();
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        const int end = steps + kLife + static_cast<int>(s.random() % 500);
        for (; steps < end && found.empty(); ++steps) {
            if (steps % 512 == 0)
                guest.move(s.random() % 600, ~std::uint64_t{0});
            REQUIRE(ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0);
            REQUIRE(waitpid(child, &status, 0) == child);
            REQUIRE(WIFSTOPPED(status));
            found = verdict(*s.world, *copy);
        }
        kill(child, SIGKILL);
        REQUIRE(waitpid(child, nullptr, 0) == child);
        ++lives;
    }
    CAPTURE(steps);
    CHECK(found == "");
    // An undisturbed life answers what is open.
    Pump last(*s.world);
    for (int i = 0; i < 100'000 && guest.seen != guest.made; ++i) {
        guest.move(1024, guest.made);
        last.turn();
    }
    CHECK(guest.exact);
    CHECK(s.world->garbled == 0);
    CHECK(guest.seen == guest.made);
    CHECK(guest.made > 10);
    CHECK(lives > 3);
}
