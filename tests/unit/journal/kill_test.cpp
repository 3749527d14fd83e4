// SPDX-License-Identifier: MIT
// A process that is killed while it appends and frees: at random, and after every single
// machine instruction.
#include "support.hpp"

#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <thread>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// The state as a process finds it that starts now. Throws where something is not whole.
struct Found {
    Journal::Position tail, head;
    explicit Found(const std::string &path)
    {
        const auto j = Journal::open(path, true);
        tail = j->tail();
        Journal::Position p = tail;
        while (const auto e = j->next(p))
            if (e->number != p.number - 1 || !is_sample(*e))
                throw JournalDamaged("wrong content");
        head = p;
        if (!(head == j->head()))
            throw JournalDamaged("does not end at the head");
    }
};

/// Runs `body` in a child and kills it after `us` microseconds.
template <class Body>
void run_and_kill(Body body, useconds_t us)
{
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        body();
        ::_exit(1); // not reached: the body runs for ever
    }
    ::usleep(us);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
}

} // namespace

TEST_CASE("kill: at random, the records are a clean row and work goes on")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    Journal::create(path, kRing);
    std::uint64_t number = 1;
    for (std::uint64_t round = 0; round < 50; ++round) {
        run_and_kill(
            [&] {
                auto j = Journal::open(path);
                Journal::Position p = j->tail();
                for (std::uint64_t n = mix(round);; n = mix(n)) {
                    for (std::uint64_t i = n % 50; i > 0 && append_next(*j); --i)
                        ;
                    for (std::uint64_t i = (n >> 32) % 60; i > 0 && j->next(p); --i)
                        ;
                    j->free_to(p);
                }
            },
            static_cast<useconds_t>(mix(round + 1000) % 4000));
        const Found found(path);
        CHECK(found.head.number >= number);
        number = found.head.number;
        auto j = Journal::open(path);
        CHECK(j->repair() == "");
        CHECK(j->next_number() == number);
    }
    CHECK(number > 1000);
}

TEST_CASE("kill: at random, with appender and reader in two threads")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    Journal::create(path, kRing);
    std::uint64_t number = 1;
    for (std::uint64_t round = 0; round < 50; ++round) {
        run_and_kill(
            [&] {
                auto j = Journal::open(path);
                std::thread([&] {
                    Journal::Position p = j->tail();
                    for (;;) {
                        j->wait(p, 1000);
                        while (j->next(p))
                            ;
                        j->free_to(p);
                    }
                }).detach();
                for (;;)
                    if (!append_next(*j))
                        std::this_thread::yield();
            },
            static_cast<useconds_t>(mix(round) % 6000));
        const Found found(path);
        CHECK(found.head.number >= number);
        number = found.head.number;
    }
    CHECK(number > 1000);
}

#ifndef XSGIT_TSAN
TEST_CASE("kill: after every single instruction of append and free_to")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    // So that the third record meets the end of the ring.
    const Journal::Position start{kRing - 400, 40};
    {
        auto j = Journal::create(path, kRing, start);
        REQUIRE(append_next(*j));
    }
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0)
            ::_exit(77);
        auto j = Journal::open(path);
        Journal::Position p = j->tail();
        j->next(p);
        const Sample a(41), b(42), c(43);
        ::raise(SIGSTOP);
        bool ok = j->append(a.event);
        j->free_to(p);
        ok = ok && j->append(b.event) && j->append(c.event);
        ::_exit(ok ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        MESSAGE("tracing is not allowed here: not tested");
        return;
    }
    REQUIRE(WIFSTOPPED(status));
    int steps = 0, changes = 0;
    Found last(path);
    CHECK(last.head.number == 41);
    for (;; ++steps) {
        REQUIRE(::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            break;
        const Found now(path);
        if (now.head == last.head && now.tail == last.tail)
            continue;
        ++changes;
        // One of them, by one whole step.
        const bool appended = now.tail == last.tail && now.head.number == last.head.number + 1;
        const bool freed = now.head == last.head && now.tail.number == last.tail.number + 1;
        CHECK((appended || freed));
        last = now;
    }
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(steps > 100);
    CHECK(changes == 4);
    CHECK(last.head.number == 44);
    CHECK(last.tail.number == 41);
    CHECK(last.head.offset > kRing);
}
#endif
