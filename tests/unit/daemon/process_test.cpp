// SPDX-License-Identifier: MIT
// The real program, named by $XENSTORED: what start, death, taking over and stop look like from outside.
#include "server/daemon/slot_file.hpp"
#include "tests/unit/daemon/client.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

struct Outcome {
    int status = -1;
    std::string err;
};

/// Runs the program with `args` until it, or its launcher, ends.
Outcome run(const std::vector<std::string> &args, const std::string &err_file)
{
    const char *program = std::getenv("XENSTORED");
    REQUIRE(program);
    std::vector<char *> argv = {const_cast<char *>(program)};
    for (const std::string &a : args)
        argv.push_back(const_cast<char *>(a.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = open(err_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 2);
        execv(program, argv.data());
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    std::ifstream in(err_file);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
            std::string(std::istreambuf_iterator<char>(in), {})};
}

bool eventually(const std::function<bool()> &done)
{
    for (int i = 0; i < 1000; ++i, usleep(10'000))
        if (done())
            return true;
    return false;
}

pid_t parent_of(pid_t pid)
{
    std::ifstream in(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(in, line);
    int parent = 0;
    char state = 0;
    if (line.rfind(')') == std::string::npos ||
        std::sscanf(line.c_str() + line.rfind(')') + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return state == 'Z' ? 0 : parent;
}

class Program {
public:
    ~Program() { (void)run({"--stop", "--repo", repo()}, dir_ / "err"); }

    std::string repo() const { return dir_ / "store.git"; }
    std::string socket() const { return dir_ / "run/socket"; }
    Outcome start(std::vector<std::string> more = {})
    {
        std::vector<std::string> args = {"--standalone", "--repo", repo(),      "--socket",
                                         socket(),       "-F",     dir_ / "pid"};
        args.insert(args.end(), more.begin(), more.end());
        return run(args, dir_ / "err");
    }
    Outcome stop() { return run({"--stop", "--repo", repo()}, dir_ / "err"); }
    /// What the pid file says; 0 if there is none.
    pid_t server() const
    {
        pid_t pid = 0;
        std::ifstream(dir_ / "pid") >> pid;
        return pid;
    }
    pid_t keeper() const { return parent_of(server()); }
    bool ended(pid_t pid) const { return parent_of(pid) == 0; }
    const TempDir &dir() const { return dir_; }

private:
    TempDir dir_;
};

} // namespace

TEST_CASE("a started daemon serves when the launcher returns, and its pid file names the server")
{
    Program p;
    const Outcome o = p.start();
    REQUIRE(o.status == 0);
    CHECK(o.err == "");
    REQUIRE(p.server() > 0);
    CHECK(!p.ended(p.server()));
    Client c(p.socket());
    CHECK(c.ask(MsgType::Write, "/a|1") == "OK|");
    struct stat st {};
    REQUIRE(stat(p.socket().c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    REQUIRE(stat((p.dir() / "pid").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    REQUIRE(stat(p.repo().c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0700);
}

TEST_CASE("killing the server, the keeper, or taking over: the client sees nothing")
{
    Program p;
    REQUIRE(p.start().status == 0);
    Client c(p.socket()), watcher(p.socket());
    CHECK(watcher.ask(MsgType::Watch, "/a|t|") == "OK|");
    CHECK(watcher.receive().payload == nul("/a|t|"));
    const std::string tx = c.ask(MsgType::TransactionStart, "|");
    const std::string half = request(MsgType::Write, nul("/a/half|whole"));
    Client slow(p.socket());
    REQUIRE(slow.send(half.substr(0, 21)));
    CHECK(c.ask(MsgType::Mkdir, "/a|") == "OK|");
    CHECK(watcher.receive().payload == nul("/a|t|"));

    struct Death {
        const char *name;
        std::function<void()> happen;
    };
    int round = 0;
    const std::vector<Death> deaths = {
        {"server killed", [&] { kill(p.server(), SIGKILL); }},
        {"server crashed", [&] { kill(p.server(), SIGSEGV); }},
        {"keeper killed", [&] { kill(p.keeper(), SIGKILL); }},
        {"taken over", [&] { CHECK(p.start().status == 0); }},
        {"server killed again", [&] { kill(p.server(), SIGKILL); }},
        {"keeper killed again", [&] { kill(p.keeper(), SIGKILL); }},
        {"taken over again", [&] { CHECK(p.start().status == 0); }},
    };
    for (const Death &death : deaths) {
        CAPTURE(death.name);
        const pid_t server = p.server(), keeper = p.keeper();
        death.happen();
        const std::string value = std::to_string(++round);
        CHECK(c.ask(MsgType::Write, "/a/v|" + value) == "OK|");
        CHECK(watcher.receive().payload == nul("/a/v|t|"));
        CHECK(c.ask(MsgType::Read, "/a/v|") == value);
        CHECK(Client(p.socket()).ask(MsgType::Read, "/a/v|") == value);
        CHECK(eventually([&] { return p.server() != server && p.server() > 0 && p.keeper() > 1; }));
        CHECK((p.keeper() != keeper || p.server() != server));
    }
    REQUIRE(slow.send(half.substr(21)));
    CHECK(slow.receive().payload == nul("OK|"));
    CHECK(watcher.receive().payload == nul("/a/half|t|"));
    // The transaction was open all the time, and /a has changed since.
    const auto end = [&](const std::string &id) {
        std::string m = request(MsgType::TransactionEnd, nul("T|"));
        const std::uint32_t number = static_cast<std::uint32_t>(std::stoul(id));
        std::memcpy(m.data() + 8, &number, sizeof number);
        REQUIRE(c.send(m));
        return c.receive().payload;
    };
    CHECK(end(tx) == nul("OK|"));
    CHECK(eventually([&] { return read_slot_fds(p.repo() + "/xsgit/slots").size() == 3; }));
}

TEST_CASE("an orderly stop, by option or by signal to either, leaves the state and ends both")
{
    Program p;
    int round = 0;
    const std::vector<std::function<void()>> stops = {
        [&] { CHECK(p.stop().status == 0); }, [&] { kill(p.server(), SIGTERM); },
        [&] { kill(p.server(), SIGINT); }, [&] { kill(p.keeper(), SIGTERM); }};
    for (const auto &stop : stops) {
        const Outcome o = p.start();
        CHECK(o.err == "");
        REQUIRE(o.status == 0);
        const pid_t server = p.server(), keeper = p.keeper();
        Client c(p.socket());
        if (round > 0)
            CHECK(c.ask(MsgType::Read, "/r|") == std::to_string(round));
        CHECK(c.ask(MsgType::Write, "/r|" + std::to_string(++round)) == "OK|");
        stop();
        CHECK(eventually([&] { return p.ended(server) && p.ended(keeper); }));
        CHECK(p.server() == 0); // the pid file is gone
        CHECK(access(p.socket().c_str(), F_OK) != 0);
        CHECK(!c.receive().ok);
    }
    const Outcome none = p.stop();
    CHECK(none.status == 1);
    CHECK(none.err.find("no daemon is running") != std::string::npos);
}

TEST_CASE("when both die, the next start has the state and closes the connections")
{
    Program p;
    REQUIRE(p.start().status == 0);
    Client c(p.socket());
    CHECK(c.ask(MsgType::Write, "/a|1") == "OK|");
    CHECK(c.ask(MsgType::Watch, "/a|t|") == "OK|");
    const pid_t server = p.server(), keeper = p.keeper();
    kill(keeper, SIGSTOP); // so that it cannot start another
    kill(server, SIGKILL);
    kill(keeper, SIGKILL);
    CHECK(eventually([&] { return p.ended(server) && p.ended(keeper); }));
    REQUIRE(p.start().status == 0);
    CHECK(p.server() != server);
    Client again(p.socket());
    CHECK(again.ask(MsgType::Read, "/a|") == "1");
    CHECK(again.ask(MsgType::Write, "/a|2") == "OK|");
    CHECK(read_slot_fds(p.repo() + "/xsgit/slots").size() == 1);
}

TEST_CASE("a start that cannot work says why, ends with 1, and leaves a running daemon alone")
{
    Program p;
    const std::string err = p.dir() / "err2";
    CHECK(run({"--repo", p.repo()}, err).err.find("--standalone") != std::string::npos);
    std::filesystem::create_directory(p.dir() / "mine");
    std::ofstream(p.dir() / "mine/file") << "precious";
    const Outcome foreign = run({"--standalone", "--repo", p.dir() / "mine", "--socket", p.dir() / "s"}, err);
    CHECK(foreign.status == 1);
    CHECK(foreign.err.find("--repo") != std::string::npos);
    CHECK(!std::filesystem::exists(p.dir() / "mine/xsgit"));

    REQUIRE(p.start().status == 0);
    Client c(p.socket());
    const Outcome same = run({"--standalone", "--repo", p.dir() / "other.git", "--socket", p.socket()}, err);
    CHECK(same.status == 1);
    CHECK(same.err.find("another daemon answers") != std::string::npos);
    CHECK(c.ask(MsgType::Read, "/|") == "");

    // Somebody holds the lock and is no keeper.
    const std::string repo = p.dir() / "held.git";
    std::filesystem::create_directories(repo + "/xsgit");
    const std::string command =
        fmt::format("flock {}/xsgit/lock sleep 20 & echo $! > {}/holder", repo, p.dir().path);
    REQUIRE(std::system(command.c_str()) == 0);
    CHECK(eventually([&] { return std::filesystem::exists(repo + "/xsgit/lock"); }));
    const Outcome held = run({"--standalone", "--repo", repo, "--socket", p.dir() / "s"}, err);
    CHECK(held.status == 1);
    CHECK(held.err.find("lock") != std::string::npos);
    pid_t holder = 0;
    std::ifstream(p.dir() / "holder") >> holder;
    if (holder > 1)
        kill(holder, SIGKILL);
}

TEST_CASE("a newcomer that fails leaves everything to the running daemon")
{
    Program p;
    REQUIRE(p.start().status == 0);
    Client c(p.socket());
    CHECK(c.ask(MsgType::Write, "/a|1") == "OK|");
    const pid_t keeper = p.keeper();
    // With so little memory the slots cannot be mapped.
    const std::string command =
        fmt::format("ulimit -v 150000; \"$XENSTORED\" --standalone --repo {} --socket {} -F {}/pid 2>{}/err2",
                    p.repo(), p.socket(), p.dir().path, p.dir().path);
    CHECK(std::system(command.c_str()) != 0);
    std::ifstream in(p.dir() / "err2");
    const std::string err(std::istreambuf_iterator<char>(in), {});
    CHECK(err.find("slots") != std::string::npos);
    CHECK(c.ask(MsgType::Read, "/a|") == "1");
    CHECK(c.ask(MsgType::Write, "/a|2") == "OK|");
    CHECK(Client(p.socket()).ask(MsgType::Read, "/a|") == "2");
    CHECK(p.keeper() == keeper);
    CHECK(p.start().status == 0); // one that is well is welcome
    CHECK(c.ask(MsgType::Read, "/a|") == "2");
    CHECK(eventually([&] { return p.ended(keeper); }));
}

TEST_CASE("many connections come along when somebody takes over")
{
    Program p;
    REQUIRE(p.start().status == 0);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 300; ++i) {
        clients.push_back(std::make_unique<Client>(p.socket()));
        REQUIRE(clients.back()->ask(MsgType::Write, fmt::format("/c{}|{}", i, i)) == "OK|");
    }
    clients.erase(clients.begin() + 10, clients.begin() + 30);
    REQUIRE(p.start().status == 0);
    for (auto &c : clients)
        CHECK(c->ask(MsgType::Read, "/c299|") == "299");
    kill(p.server(), SIGKILL);
    for (auto &c : clients)
        CHECK(c->ask(MsgType::Read, "/c299|") == "299");
    CHECK(eventually([&] { return read_slot_fds(p.repo() + "/xsgit/slots").size() == 280; }));
}

TEST_CASE("a state directory whose path is longer than a socket address works")
{
    Program p;
    const std::string repo = p.dir() / (std::string(120, 'd') + "/store.git"), err = p.dir() / "err2";
    REQUIRE(run({"--standalone", "--repo", repo, "--socket", p.socket()}, err).status == 0);
    Client c(p.socket());
    CHECK(c.ask(MsgType::Write, "/a|1") == "OK|");
    REQUIRE(run({"--standalone", "--repo", repo, "--socket", p.socket()}, err).status == 0);
    CHECK(c.ask(MsgType::Read, "/a|") == "1");
    CHECK(run({"--stop", "--repo", repo}, err).status == 0);
}
