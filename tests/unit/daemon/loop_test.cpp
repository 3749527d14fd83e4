// SPDX-License-Identifier: MIT
// The loop with the real engine and real sockets; the store is a vector (memory_fold.hpp).
#include "server/daemon/loop.hpp"
#include "server/daemon/socket_transport.hpp"
#include "tests/unit/daemon/client.hpp"
#include "tests/unit/daemon/memory_fold.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/core.h>
#include <sys/resource.h>
#include <thread>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

/// A daemon whose "process" is a thread: what survives stop() is what survives a process.
class Daemon {
public:
    Daemon() : listener_(listen_at(path(), SOCK_STREAM, 128)) { SlotFile::create(slots()); }
    ~Daemon() { stop(); }

    std::string path() const { return dir_ / "socket"; }
    std::string slots() const { return dir_ / "slots"; }
    std::string dir() const { return dir_.path; }

    void start(const std::vector<int> &orphans = {}, unsigned blame = 0)
    {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        stop_reader_.reset(ends[0]);
        stop_writer_.reset(ends[1]);
        fold = std::make_unique<MemoryFold>(journal);
        fold->refuse = refuse;
        file_ = SlotFile::open(slots());
        names_ = std::make_unique<SentNames>();
        control_ = std::make_unique<ControlService>(*fold, trace_, log_);
        loop_ = std::make_unique<Loop>(Loop::Parts{*fold,
                                                   *file_,
                                                   *names_,
                                                   hypervisor_,
                                                   *control_,
                                                   trace_,
                                                   log_,
                                                   listener_.get(),
                                                   -1,
                                                   stop_reader_.get(),
                                                   dir_.path,
                                                   {},
                                                   blame});
        loop_->resume(orphans);
        thread_ = std::thread([this] { loop_->run(); });
    }
    void stop()
    {
        if (!thread_.joinable())
            return;
        stop_writer_.reset();
        thread_.join();
        loop_.reset();
        file_.reset();
    }
    int listener() const { return listener_.get(); }

    /// After stop(): receives what the client of the first slot has sent, as a server does before its death.
    void receive_into_first_slot(const std::function<void(Slot &)> &then)
    {
        const auto file = SlotFile::open(slots());
        const std::uint32_t index = file->used().front();
        SocketTransport transport(file->entry(index).fd);
        Slot slot(file->memory(index), transport);
        REQUIRE(slot.receive() == Slot::Receive::Data);
        then(slot);
    }

    std::vector<KeptEvent> journal;
    std::unique_ptr<MemoryFold> fold;
    bool refuse = false; // the next start begins with a full journal

private:
    TempDir dir_;
    UniqueFd listener_, stop_reader_, stop_writer_;
    Standalone hypervisor_;
    Trace trace_;
    std::unique_ptr<ControlService> control_;
    Log log_{Log::Target::Stderr};
    std::unique_ptr<SlotFile> file_;
    std::unique_ptr<SentNames> names_;
    std::unique_ptr<Loop> loop_;
    std::thread thread_;
};

std::size_t count(const Daemon &d, EventKind kind)
{
    return static_cast<std::size_t>(std::count_if(d.journal.begin(), d.journal.end(),
                                                  [&](const KeptEvent &k) { return k.event.kind == kind; }));
}

void wait_until(const std::function<bool()> &done)
{
    for (int i = 0; i < 5000 && !done(); ++i)
        usleep(1000);
}

} // namespace

TEST_CASE("clients write, read and watch")
{
    Daemon d;
    d.start();
    Client a(d.path()), b(d.path());
    CHECK(a.ask(MsgType::Write, "/a/b|hello") == "OK|");
    CHECK(b.ask(MsgType::Read, "/a/b|") == "hello");
    CHECK(b.ask(MsgType::Watch, "/a|tok|") == "OK|");
    CHECK(b.receive().payload == nul("/a|tok|"));
    CHECK(a.ask(MsgType::Write, "/a/c|x") == "OK|");
    const Message event = b.receive();
    CHECK(event.type == static_cast<std::uint32_t>(MsgType::WatchEvent));
    CHECK(event.payload == nul("/a/c|tok|"));
    CHECK(a.ask(MsgType::SetPerms, "/a|n7|r8|") == "OK|"); // every domid counts as existing
    CHECK(a.ask(MsgType::GetPerms, "/a|") == "n7|r8|");
    d.stop();
    REQUIRE(count(d, EventKind::Connect) == 2);
    CHECK(d.journal[1].facts.find(fmt::format("socket 0 {} {} ", getpid(), getuid())) == 0);
}

TEST_CASE("half a message stalls nobody, and is answered when it is whole")
{
    Daemon d;
    d.start();
    Client slow(d.path()), other(d.path());
    const std::string r = request(MsgType::Write, nul("/slow|") + std::string(3000, 'v'));
    for (std::size_t i = 0; i < r.size(); i += 500) {
        REQUIRE(slow.send(r.substr(i, 500)));
        CHECK(other.ask(MsgType::Write, "/x|y") == "OK|");
    }
    CHECK(slow.receive().payload == nul("OK|"));
}

TEST_CASE("who sends a lot at once is answered in order, and does not keep others waiting")
{
    Daemon d;
    d.start();
    Client flood(d.path()), polite(d.path());
    constexpr std::uint32_t kRequests = 20000;
    std::thread sender([&] {
        std::string all;
        for (std::uint32_t i = 0; i < kRequests; ++i)
            all += request(MsgType::Write, nul("/flood|") + std::to_string(i), i);
        flood.send(all);
    });
    std::uint32_t seen = 0;
    bool ordered = true;
    std::thread reader([&] {
        for (; seen < kRequests; ++seen) {
            const Message m = flood.receive();
            if (!m.ok || m.req_id != seen)
                break;
        }
        ordered = seen == kRequests;
    });
    for (int i = 0; i < 200; ++i)
        CHECK(polite.ask(MsgType::Read, "/|") == "");
    sender.join();
    reader.join();
    CHECK(ordered);
}

TEST_CASE("XSA-326: who never reads is not read any more, and gets everything when it does")
{
    Daemon d;
    d.start();
    Client deaf(d.path()), other(d.path());
    CHECK(deaf.ask(MsgType::Write, "/big|" + std::string(4000, 'x')) == "OK|");
    std::string one = request(MsgType::Read, nul("/big|")), many;
    for (int i = 0; i < 1000; ++i)
        many += one;
    std::thread sender([&] { deaf.send(many); });
    wait_until([&, last = 0u]() mutable {
        const unsigned now = d.fold->attempts;
        usleep(20000);
        return std::exchange(last, now) == now;
    });
    const unsigned stalled_at = d.fold->attempts;
    CHECK(stalled_at < 500); // 1000 replies of 4 KB are far beyond the limit
    CHECK(other.ask(MsgType::Read, "/|") == "");
    for (int i = 0; i < 1000; ++i) {
        const Message m = deaf.receive();
        REQUIRE(m.ok);
        CHECK(m.payload.size() == 4000);
    }
    sender.join();
}

TEST_CASE("a request that is too long closes its connection, after the replies to those before")
{
    Daemon d;
    d.start();
    Client c(d.path()), other(d.path());
    std::string bad = request(MsgType::Write, "");
    const std::uint32_t length = 4097;
    std::memcpy(bad.data() + 12, &length, sizeof length);
    REQUIRE(c.send(request(MsgType::Mkdir, nul("/m|")) + bad));
    CHECK(c.receive().payload == nul("OK|"));
    CHECK(!c.receive().ok);
    CHECK(other.ask(MsgType::Directory, "/|").find("m|") != std::string::npos);
    d.stop();
    CHECK(count(d, EventKind::Close) == 1);
}

TEST_CASE("a client that writes and leaves at once has written")
{
    Daemon d;
    d.start();
    for (int i = 0; i < 50; ++i) {
        Client c(d.path());
        std::string all = request(MsgType::Read, nul("/|"));
        for (int k = 0; k < 5; ++k)
            all += request(MsgType::Write, nul(fmt::format("/w{}-{}|v", i, k)));
        REQUIRE(c.send(all));
    }
    Client other(d.path());
    wait_until([&] {
        const std::string list = other.ask(MsgType::Directory, "/|");
        return std::count(list.begin(), list.end(), 'w') >= 250;
    });
    const std::string list = other.ask(MsgType::Directory, "/|");
    CHECK(std::count(list.begin(), list.end(), 'w') == 250);
}

TEST_CASE("many watch events of one path reach a slow reader once")
{
    Daemon d;
    d.start();
    Client watcher(d.path()), writer(d.path());
    CHECK(watcher.ask(MsgType::Watch, "/w|t|") == "OK|");
    watcher.receive();
    // Fills the watcher's socket with other events first, so that those after it wait.
    CHECK(watcher.ask(MsgType::Watch, "/fill|t|") == "OK|");
    watcher.receive();
    for (int i = 0; i < 3000; ++i)
        REQUIRE(writer.ask(MsgType::Write, fmt::format("/fill/{}{}|", std::string(200, 'f'), i)) == "OK|");
    for (int i = 0; i < 1000; ++i)
        REQUIRE(writer.ask(MsgType::Write, "/w|x") == "OK|");
    REQUIRE(watcher.send(request(MsgType::Read, nul("/w|"), 99)));
    int of_w = 0, of_fill = 0;
    for (;;) {
        const Message m = watcher.receive();
        REQUIRE(m.ok);
        if (m.req_id == 99)
            break;
        ++(m.payload[1] == 'w' ? of_w : of_fill);
    }
    CHECK(of_fill == 3000);
    CHECK(of_w == 1);
}

TEST_CASE("what the store refuses is tried again without spinning")
{
    Daemon d;
    d.start();
    Client a(d.path());
    auto leaver = std::make_unique<Client>(d.path());
    CHECK(a.ask(MsgType::Read, "/|") == "");
    CHECK(leaver->ask(MsgType::Read, "/|") == "");
    d.fold->refuse = true;
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    const unsigned attempts = d.fold->attempts;
    REQUIRE(a.send(request(MsgType::Write, nul("/r|1")) + request(MsgType::Write, nul("/r|2"))));
    Client b(d.path()); // its connection waits, too
    REQUIRE(b.send(request(MsgType::Read, nul("/r|"))));
    REQUIRE(leaver->send(request(MsgType::Write, nul("/left|1"))));
    leaver.reset();
    usleep(300'000);
    getrusage(RUSAGE_SELF, &after);
    CHECK(d.fold->attempts - attempts < 2000);
    CHECK(after.ru_utime.tv_sec * 1'000'000 + after.ru_utime.tv_usec -
              (before.ru_utime.tv_sec * 1'000'000 + before.ru_utime.tv_usec) <
          150'000);
    d.fold->refuse = false;
    CHECK(a.receive().payload == nul("OK|"));
    CHECK(a.receive().payload == nul("OK|"));
    const std::string read = b.receive().payload;
    CHECK((read == "2" || read == nul("ENOENT|") || read == "1")); // order between the two is open
    CHECK(b.ask(MsgType::Read, "/r|") == "2");
    CHECK(b.ask(MsgType::Read, "/left|") == "1");
}

TEST_CASE("clients beyond the limit of descriptors wait until others leave")
{
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{300, before.rlim_max}; // room for 172 clients
    setrlimit(RLIMIT_NOFILE, &few);
    Daemon d;
    d.start();
    setrlimit(RLIMIT_NOFILE, &before); // the clients of this process need some, too
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 173; ++i) {
        clients.push_back(std::make_unique<Client>(d.path()));
        REQUIRE(clients.back()->send(request(MsgType::Read, nul("/|"))));
    }
    for (int i = 0; i < 172; ++i)
        REQUIRE(clients[static_cast<std::size_t>(i)]->receive().ok);
    char byte;
    usleep(20'000);
    CHECK(recv(clients.back()->fd.get(), &byte, 1, MSG_DONTWAIT) < 0);
    clients.erase(clients.begin());
    CHECK(clients.back()->receive().ok);
}

TEST_CASE("a successor goes on where the server stopped")
{
    Daemon d;
    d.start();
    Client a(d.path()), b(d.path());
    auto leaver = std::make_unique<Client>(d.path());
    CHECK(a.ask(MsgType::Watch, "/a|t|") == "OK|");
    a.receive();
    const std::string tx = a.ask(MsgType::TransactionStart, "|");
    CHECK(leaver->ask(MsgType::Mkdir, "/l|") == "OK|");
    const std::string half = request(MsgType::Write, nul("/a/late|value"));
    REQUIRE(b.send(half.substr(0, 19)));
    usleep(20000);
    // A death between the journal and the reply: the reply is made again, and nothing is executed twice.
    d.stop();
    leaver.reset();
    REQUIRE(a.send(request(MsgType::Write, nul("/a/once|1"), 7)));
    d.receive_into_first_slot([&](Slot &slot) {
        Event e;
        e.kind = EventKind::Request;
        e.conn = slot.conn();
        e.request = slot.request_number();
        e.wire = slot.request();
        Outputs out;
        REQUIRE(MemoryFold(d.journal).execute(e, out));
    });
    REQUIRE(a.send(request(MsgType::Read, nul("/a/once|"), 8)));
    const std::size_t events = d.journal.size();
    d.start();
    Message m = a.receive();
    CHECK(m.payload == nul("/a/once|t|"));
    m = a.receive();
    CHECK(m.req_id == 7);
    CHECK(m.payload == nul("OK|"));
    m = a.receive();
    CHECK(m.req_id == 8);
    CHECK(m.payload == "1");
    REQUIRE(b.send(half.substr(19)));
    CHECK(b.receive().payload == nul("OK|"));
    CHECK(a.receive().payload == nul("/a/late|t|"));
    wait_until([&] { return count(d, EventKind::Close) == 1; });
    d.stop();
    CHECK(count(d, EventKind::Connect) == 3);
    CHECK(count(d, EventKind::Close) == 1); // of the one who left meanwhile
    CHECK(d.journal.size() >= events);
}

TEST_CASE("connections whose sockets are lost are closed, sockets without a slot are taken in")
{
    Daemon d;
    d.start();
    auto a = std::make_unique<Client>(d.path());
    CHECK(a->ask(MsgType::Mkdir, "/m|") == "OK|");
    d.stop();
    const auto slots = read_slot_fds(d.slots());
    REQUIRE(slots.size() == 1);
    close(slots[0].fd);
    Client early(d.path());
    REQUIRE(early.send(request(MsgType::Directory, nul("/|"))));
    const int accepted = accept4(d.listener(), nullptr, nullptr, SOCK_NONBLOCK);
    REQUIRE(accepted >= 0);
    d.start({accepted});
    CHECK(early.receive().payload.find("m") != std::string::npos);
    d.stop();
    CHECK(count(d, EventKind::Close) == 1);
    CHECK(count(d, EventKind::Connect) == 2);
    CHECK(read_slot_fds(d.slots()).size() == 1);
}

TEST_CASE("a slot whose connection the journal does not know is connected, one being closed is closed")
{
    Daemon d;
    d.start();
    Client a(d.path()), b(d.path());
    CHECK(a.ask(MsgType::Read, "/|") == "");
    CHECK(b.ask(MsgType::Read, "/|") == "");
    d.stop();
    const std::size_t before = d.journal.size();
    Client early(d.path());
    {
        const int fd = accept4(d.listener(), nullptr, nullptr, SOCK_NONBLOCK);
        const auto file = SlotFile::open(d.slots());
        REQUIRE(file->take(fd, socket_cookie(fd), MemoryFold(d.journal).next_connection(), 0,
                           "socket 0 1 2 early"));
        file->begin_close(read_slot_fds(d.slots())[1].index);
    }
    d.start();
    CHECK(early.ask(MsgType::Write, "/e|1") == "OK|");
    CHECK(a.ask(MsgType::Read, "/e|") == "1");
    CHECK(b.ask(MsgType::Read, "/e|") != "1");
    d.stop();
    CHECK(d.journal.size() > before);
    CHECK(count(d, EventKind::Connect) == 3);
    CHECK(count(d, EventKind::Close) == 1);
}

TEST_CASE("a request that ended two servers is answered EIO")
{
    constexpr unsigned kCrash = 4;
    Daemon d;
    d.start();
    Client a(d.path());
    CHECK(a.ask(MsgType::Mkdir, "/m|") == "OK|");
    d.stop();
    REQUIRE(a.send(request(MsgType::Write, nul("/poison|x"))));
    d.receive_into_first_slot([](Slot &slot) { slot.set_executing({2, 0}); });
    d.refuse = true; // the first successor tries it, but does not come to it
    d.start({}, kCrash);
    usleep(5000);
    d.stop();
    CHECK(count(d, EventKind::Poison) == 0);
    d.refuse = false;
    d.start({}, kCrash);
    CHECK(a.receive().payload == nul("EIO|"));
    CHECK(a.ask(MsgType::Read, "/poison|") == "ENOENT|");
    d.stop();
    REQUIRE(count(d, EventKind::Poison) == 1);
    const auto poison = std::find_if(d.journal.begin(), d.journal.end(),
                                     [](const KeptEvent &k) { return k.event.kind == EventKind::Poison; });
    const std::string file = fmt::format("{}/poison-{}", d.dir(), poison->event.number);
    CHECK(std::filesystem::file_size(file) == poison->wire.size());
}

TEST_CASE("a request that was being executed at one crash is tried again")
{
    Daemon d;
    d.start();
    Client a(d.path());
    CHECK(a.ask(MsgType::Mkdir, "/m|") == "OK|");
    d.stop();
    REQUIRE(a.send(request(MsgType::Write, nul("/w|x"))));
    d.receive_into_first_slot([](Slot &slot) { slot.set_executing({2, 0}); });
    d.start({}, 4);
    CHECK(a.receive().payload == nul("OK|"));
}
