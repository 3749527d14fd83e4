// SPDX-License-Identifier: MIT
// The whole committer by itself: how long it takes from a journal full of writes to a repository that shows them all,
// one commit each. What it costs the server is not in it; the load generator is for that.
//
//   committer_bench [DIRECTORY [GUESTS [WRITES]]]      on tmpfs; defaults /dev/shm, 100, 400000
#include "server/engine/wire.hpp"
#include "server/store/committer.hpp"
#include "xsgit/git/repository.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <random>
#include <string>
#include <sys/resource.h>

using namespace xsgit;
using namespace xsgit::server;

namespace {

constexpr std::size_t kJournal = 256u << 20;

double seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds()
{
    struct rusage u {};
    getrusage(RUSAGE_SELF, &u);
    return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/// The server's half: executes events and journals them.
class Server {
public:
    explicit Server(Journal &journal) : journal_(journal)
    {
        Event e;
        e.kind = EventKind::Start;
        run(e);
        e = Event{};
        e.kind = EventKind::Connect;
        e.conn = conn_ = state_.next_connection();
        e.facts = "socket 0 77 0 bench";
        run(e);
    }
    void write(const std::string &path, std::string_view value)
    {
        const std::string payload = path + '\0' + std::string(value);
        std::string wire(kHeaderSize, '\0');
        write_header(
            {static_cast<std::uint32_t>(MsgType::Write), 1, 0, static_cast<std::uint32_t>(payload.size())},
            wire.data());
        wire += payload;
        Event e;
        e.kind = EventKind::Request;
        e.conn = conn_;
        e.request = ++requests_;
        e.wire = wire;
        run(e);
    }
    const State &state() const { return state_; }

private:
    void run(Event &e)
    {
        out_.clear();
        e.number = journal_.next_number();
        e.wall_us = 1'700'000'000'000'000 + static_cast<std::int64_t>(e.number) * 10;
        state_.step(e, out_);
        e.outputs_hash = out_.hash();
        if (!journal_.append(e)) {
            fmt::print(stderr, "committer_bench: that many writes do not fit a journal of {} bytes\n",
                       kJournal);
            std::exit(2);
        }
    }
    Journal &journal_;
    State state_;
    Outputs out_;
    std::uint64_t conn_ = 0, requests_ = 0;
};

/// As a toolstack makes them: 46 leaves below the guest, 22 of its backends.
void make_guests(Server &server, unsigned guests)
{
    for (unsigned g = 1; g <= guests; ++g) {
        const std::string id = std::to_string(g), home = "/local/domain/" + id;
        for (unsigned i = 0; i < 22; ++i)
            server.write(home + "/control/key" + std::to_string(i), "value");
        for (unsigned dev = 0; dev < 2; ++dev)
            for (unsigned i = 0; i < 12; ++i) {
                const std::string key = i == 0 ? "state" : "key" + std::to_string(i);
                server.write(home + "/device/vif/" + std::to_string(dev) + "/" + key, "4");
                if (i < 11)
                    server.write("/local/domain/0/backend/vif/" + id + "/" + std::to_string(dev) + "/" + key,
                                 "4");
            }
    }
}

} // namespace

int main(int argc, char **argv)
{
    const std::string where = argc > 1 ? argv[1] : "/dev/shm";
    const unsigned guests = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 100;
    const int writes = argc > 3 ? std::atoi(argv[3]) : 400'000;
    std::string dir = where + "/committer-bench-XXXXXX";
    if (guests == 0 || writes <= 0 || !mkdtemp(dir.data())) {
        fmt::print(stderr, "usage: committer_bench [DIRECTORY [GUESTS [WRITES]]]\n");
        return 2;
    }
    {
        const StatePaths paths(dir + "/store.git");
        Repository::create(paths.repo);
        std::filesystem::create_directory(paths.dir);
        const auto journal = Journal::create(paths.journal, kJournal);
        Server server(*journal);
        make_guests(server, guests);
        const std::uint64_t before = server.state().seq();
        std::mt19937 random(7);
        for (int i = 0; i < writes; ++i)
            server.write("/local/domain/" + std::to_string(random() % guests + 1) + "/device/vif/0/state",
                         std::to_string(random() % 6 + 1));
        const std::uint64_t commits = server.state().seq(), last = server.state().event_number();

        PackStore packs(paths.repo + "/objects", {});
        const double cpu = processor_seconds(), start = seconds();
        {
            Committer committer(
                paths, *journal, packs, {},
                [](std::uint64_t) {
                    return OutputName{UINT64_MAX, 0};
                },
                [](const std::string &text) { fmt::print(stderr, "committer_bench: {}\n", text); }, [] {});
            while (!committer.sync_within(last, 1000)) {
            }
        }
        const double took = seconds() - start;
        const PackStore::Stats s = packs.stats();
        fmt::print("{} commits ({} of them to make {} guests) in {:.3f} s: {:.0f} commits/s; {:.2f} us and "
                   "{:.2f} us of "
                   "processor each, {} bytes in packs each\n",
                   commits, before, guests, took, static_cast<double>(commits) / took,
                   took / static_cast<double>(commits) * 1e6,
                   (processor_seconds() - cpu) / static_cast<double>(commits) * 1e6, s.bytes / commits);
    }
    std::filesystem::remove_all(dir);
    return 0;
}
