// SPDX-License-Identifier: MIT
// What a client of the past is told, and what it can make us keep.
#include "bisect/serve/client_buffer.hpp"
#include "bisect/serve/command.hpp"
#include "bisect/serve/command_line.hpp"
#include "bisect/serve/introductions.hpp"
#include "bisect/serve/moment.hpp"
#include "inspect/failure.hpp"
#include "inspect/revision.hpp"
#include "tests/unit/daemon/temp_dir.hpp"
#include "tests/unit/inspect/store.hpp"

#include <algorithm>
#include <csignal>
#include <doctest/doctest.h>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::bisect;
using inspect::test::TestStore;
using server::MsgType;

namespace {

std::string message(MsgType type, std::string_view payload, std::uint32_t tx = 0)
{
    std::string wire(kHeaderSize, '\0');
    server::write_header(
        {static_cast<std::uint32_t>(type), 9, tx, static_cast<std::uint32_t>(payload.size())}, wire.data());
    return wire.append(payload);
}

/// Payloads of all messages, events in brackets; NULs are shown as blanks.
std::string ask(PastState &past, std::uint64_t conn, MsgType type, std::string_view payload,
                std::uint32_t tx = 0)
{
    const server::Outputs &out = past.request(conn, message(type, payload, tx));
    std::string text;
    for (const server::Output &o : out.items()) {
        const std::string payload_of(out.bytes(o).substr(kHeaderSize));
        text += o.event ? "[" + payload_of + "]" : payload_of;
    }
    std::replace(text.begin(), text.end(), '\0', ' ');
    return text;
}

std::string one(std::string_view path) { return std::string(path) + '\0'; }

struct Served {
    explicit Served(TestStore &s, const std::string &at) : view(inspect::RepositoryView::open(s.path))
    {
        past = state_at(*view, inspect::resolve(*view, at, true));
        conn = past->connect();
    }
    std::string operator()(MsgType type, std::string_view payload, std::uint32_t tx = 0)
    {
        return ask(*past, conn, type, payload, tx);
    }
    std::unique_ptr<inspect::RepositoryView> view;
    std::unique_ptr<PastState> past;
    std::uint64_t conn = 0;
};

/// #2 /a = 1, #3 /a = 2 and on.
void fill(TestStore &s)
{
    const auto d0 = s.connect();
    s.write(d0, "/a", "1");
    s.write(d0, "/a", "2");
    s.publish();
    s.checkpoint();
}

} // namespace

TEST_CASE("the past is read, not changed")
{
    TestStore s;
    fill(s);
    Served then(s, "#2");
    CHECK(then(MsgType::Read, one("/a")) == "1");
    CHECK(then(MsgType::Read, one("/none")) == "ENOENT ");
    CHECK(then(MsgType::Directory, one("/")) == "a tool ");
    CHECK(then(MsgType::GetPerms, one("/a")) == "n0 ");
    CHECK(then(MsgType::GetDomainPath, one("7")) == "/local/domain/7 ");
    CHECK(then(MsgType::Write, one("/a") + "9") == "EROFS ");
    CHECK(then(MsgType::Mkdir, one("/b")) == "EROFS ");
    CHECK(then(MsgType::Rm, one("/a")) == "EROFS ");
    CHECK(then(MsgType::SetPerms, one("/a") + one("r0")) == "EROFS ");
    for (const MsgType type : {MsgType::Control, MsgType::Introduce, MsgType::Release, MsgType::Resume,
                               MsgType::SetTarget, MsgType::SetFeature, MsgType::GetQuota, MsgType::SetQuota})
        CHECK(then(type, one("1")) == "EACCES ");
    CHECK(then(static_cast<MsgType>(99), "") == "ENOSYS ");
    CHECK(then(MsgType::Read, one("/a")) == "1");
    CHECK(Served(s, "#3")(MsgType::Read, one("/a")) == "2");
}

TEST_CASE("transactions of the past can be read in; a watch fires once")
{
    TestStore s;
    fill(s);
    Served then(s, "#2");
    CHECK(then(MsgType::TransactionStart, one("")) == "1 ");
    CHECK(then(MsgType::Read, one("/a"), 1) == "1");
    CHECK(then(MsgType::Write, one("/a") + "9", 1) == "EROFS ");
    CHECK(then(MsgType::TransactionEnd, one("T"), 1) == "OK ");
    CHECK(then(MsgType::Read, one("/a"), 1) == "ENOENT ");
    CHECK(then(MsgType::Watch, one("/a") + one("token")) == "OK [/a token ]");
    CHECK(then(MsgType::Watch, one("/a") + one("token")) == "EEXIST ");
    CHECK(then(MsgType::Unwatch, one("/a") + one("token")) == "OK ");
    const std::uint64_t other = then.past->connect();
    CHECK(other != then.conn);
    then.past->close(other);
    CHECK(then(MsgType::Read, one("/a")) == "1");
}

TEST_CASE("who was introduced then")
{
    TestStore s;
    const auto d0 = s.connect();
    s.write(d0, "/local/domain/5/name", "five"); // #2
    REQUIRE(s.ask(d0, MsgType::Introduce, one("5") + one("1") + one("3"), 0, "5 1 105;attach 9") ==
            "OK");                                          // #3
    s.write(d0, "/local/domain/50/name", "fifty");          // #4
    REQUIRE(s.ask(d0, MsgType::Release, one("5")) == "OK"); // #5, its home stays
    s.publish();
    const auto at = [&](const char *rev, const char *domid) {
        return Served(s, rev)(MsgType::IsDomainIntroduced, one(domid));
    };
    CHECK(at("#2", "5") == "F ");
    CHECK(at("#3", "5") == "T ");
    CHECK(at("#4", "5") == "T ");
    CHECK(at("#4", "50") == "F ");
    CHECK(at("#5", "5") == "F ");
    CHECK(at("#5", "0") == "T ");
    CHECK(at("#4", "x") == "EINVAL ");
}

TEST_CASE("questions about domains in any order")
{
    TestStore s;
    const auto d0 = s.connect();
    for (const char *domid : {"5", "6"})
        REQUIRE(s.ask(d0, MsgType::Introduce, one(domid) + one("1") + one("3"), 0,
                      domid + std::string(" 1 10") + domid + ";attach 9") == "OK"); // #2, #3
    REQUIRE(s.ask(d0, MsgType::Release, one("6")) == "OK");                         // #4
    s.publish();
    const auto view = inspect::RepositoryView::open(s.path);
    Introductions now(view->repo(), view->tip());
    CHECK(!now(6));
    CHECK(now(5));
    CHECK(!now(7)); // history ends
    CHECK(now(5));
    CHECK(!now(6));
}

TEST_CASE("a command is not begun when we are asked to end already")
{
    TestStore s;
    fill(s);
    Served then(s, "#2");
    Signals signals;
    const TempDir dir;
    PastServer server(dir / "socket", std::move(then.past));
    kill(getpid(), SIGTERM);
    const CommandEnd end = run_beside(server, {{"touch", dir / "begun"}, {}, false}, signals);
    CHECK(end.status == 128 + SIGTERM);
    CHECK(end.signal_to_us == SIGTERM);
    CHECK(access((dir / "begun").c_str(), F_OK) != 0);
    CHECK(run_beside(server, {{"touch", dir / "begun"}, {}, false}, signals).status == 0);
    CHECK(access((dir / "begun").c_str(), F_OK) == 0);
}

TEST_CASE("what is no state is not served")
{
    TestStore s;
    const auto d0 = s.connect();
    s.write(d0, "/a", "1");
    const std::uint32_t tx = s.begin(d0);
    s.read(d0, "/a", tx);
    s.write(d0, "/b", "1", tx);
    s.write(d0, "/a", "2");
    REQUIRE(s.commit(d0, tx) == "EAGAIN");
    s.publish();
    CHECK_THROWS_AS(Served(s, "conflicts"), inspect::ToolFailure);
}

TEST_CASE("a client's bytes")
{
    ClientBuffer b;
    const auto receive = [&](std::string_view bytes) {
        REQUIRE(bytes.size() <= b.room().size());
        std::copy(bytes.begin(), bytes.end(), b.room().begin());
        b.filled(bytes.size());
    };
    const std::string first = message(MsgType::Read, one("/a")), second = message(MsgType::Read, one("/bc"));
    receive(first.substr(0, 7));
    CHECK(!b.request());
    receive(first.substr(7) + second.substr(0, 18));
    CHECK(b.request() == first);
    b.drop_request();
    CHECK(!b.request());
    receive(second.substr(18));
    CHECK(b.request() == second);
    b.drop_request();
    CHECK(!b.broken());
    CHECK(b.room().size() == kMessageMax);

    SUBCASE("as long as can be")
    {
        receive(message(MsgType::Write, std::string(kPayloadMax, 'x')));
        CHECK(b.request()->size() == kMessageMax);
        CHECK(b.room().empty());
        CHECK(!b.broken());
    }
    SUBCASE("longer")
    {
        receive(message(MsgType::Write, std::string(kPayloadMax + 1, 'x')).substr(0, kHeaderSize));
        CHECK(b.broken());
        CHECK(!b.request());
    }
    SUBCASE("answers that are not taken")
    {
        const std::string answer(kMessageMax, 'y');
        while (!b.stalled())
            b.answer(answer);
        CHECK(b.unsent().size() < kOutputStall + kMessageMax);
        b.sent(kMessageMax);
        CHECK(!b.stalled());
        const std::size_t left = b.unsent().size();
        b.sent(left - 1);
        CHECK(b.unsent() == "y");
        b.sent(1);
        CHECK(b.unsent().empty());
    }
}

TEST_CASE("a command behind --")
{
    const auto split = [](std::vector<std::string> words) {
        std::vector<char *> argv;
        for (std::string &w : words)
            argv.push_back(w.data());
        return CommandLine(static_cast<int>(argv.size()), argv.data());
    };
    CHECK(split({"tool", "-x"}).argc() == 2);
    CHECK(split({"tool", "-x"}).command() == nullptr);
    const CommandLine line = split({"tool", "-x", "--", "sleep", "-5s", "--"});
    CHECK(line.argc() == 2);
    CHECK(*line.command() == std::vector<std::string>{"sleep", "-5s", "--"});
    CHECK_THROWS_AS(split({"tool", "--"}).command(), inspect::ToolFailure);
}
