// SPDX-License-Identifier: MIT
// What a keeper does with a newcomer that does not come to serve: real processes at both ends of the socket.
#include "server/daemon/takeover.hpp"

#include "server/daemon/local_socket.hpp"
#include "server/daemon/slot_file.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

using namespace xsgit::server;

namespace {

constexpr unsigned kAlarm = 4; // seconds, to end what nobody may kill

/// A keeper of that name and its server, which take everything over and serve, or hang.
[[noreturn]] void newcomer(const TempDir &dir, const char *name, bool hangs)
{
    prctl(PR_SET_NAME, name);
    const UniqueFd keeper = ControlClient::connect(dir.path);
    if (!ControlClient::take_over(keeper.get(), dir / "slots"))
        _exit(1);
    if (!hangs) {
        confirm_take_over(keeper.get());
        _exit(0);
    }
    (void)!fork(); // both hold the connection, and hear the alarm
    alarm(kAlarm);
    for (;;)
        pause();
}

struct Outcome {
    bool served;
    int status; // of the newcomer's keeper
};

Outcome hand_over_to(const char *name, bool hangs)
{
    const TempDir dir;
    SlotFile::create(dir / "slots");
    const UniqueFd listener = listen_at(dir / "keeper.sock", SOCK_SEQPACKET, 1);
    const pid_t child = fork();
    if (child == 0)
        newcomer(dir, name, hangs);
    pollfd fd{listener.get(), POLLIN, 0};
    REQUIRE(poll(&fd, 1, 10'000) == 1);
    UniqueFd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ControlRequest r{};
    REQUIRE(receive_message(client.get(), &r, sizeof r));
    set_timeout(client.get(), 10);
    const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Inheritance own;
    own.lock = own.listen = own.control = null.get();
    Log log(Log::Target::Stderr);
    Outcome o{};
    o.served = hand_over(client.get(), own, dir / "slots", {}, std::chrono::seconds(hangs ? 1 : 10), log);
    REQUIRE(waitpid(child, &o.status, 0) == child);
    return o;
}

} // namespace

TEST_CASE("take over: a newcomer that serves has everything")
{
    const Outcome o = hand_over_to("xenstored-keep", false);
    CHECK(o.served);
    CHECK(o.status == 0);
}

TEST_CASE("take over: a newcomer that hangs is killed with its server, and the old daemon goes on")
{
    // That nobody holds the connection any more is what ends hand_over().
    const Outcome o = hand_over_to("xenstored-keep", true);
    CHECK_FALSE(o.served);
    CHECK(WIFSIGNALED(o.status));
    CHECK(WTERMSIG(o.status) == SIGKILL);
}

TEST_CASE("take over: what is no xenstored is not killed, but waited for")
{
    const Outcome o = hand_over_to("somebody-else", true);
    CHECK_FALSE(o.served);
    CHECK(WTERMSIG(o.status) == SIGALRM);
}
