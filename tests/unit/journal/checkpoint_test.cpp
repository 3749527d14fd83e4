// SPDX-License-Identifier: MIT
#include "support.hpp"
#include "xsgit/journal/stream.hpp"

#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <system_error>

using namespace xsgit;
using namespace xsgit::test;

namespace {

std::string checkpoint(std::uint64_t n)
{
    StreamWriter w;
    w.record(0x78730001);
    w.u64(n);
    w.bytes(std::string(mix(n) % 50000, 'c'));
    return w.finish();
}

/// The number in a checkpoint, which must be whole; 0 if there is no such file.
std::uint64_t number_in(const std::string &path)
{
    if (!std::filesystem::exists(path))
        return 0;
    const std::string data = read_file(path);
    StreamReader r(data);
    const std::uint64_t n = r.next()->u64();
    CHECK(data == checkpoint(n));
    return n;
}

} // namespace

TEST_CASE("checkpoint: replaced, and the one before kept")
{
    const TempDir dir;
    const std::string path = dir / "checkpoint", old = path + ".old";
    replace_checkpoint(path, checkpoint(1));
    CHECK(number_in(path) == 1);
    CHECK_FALSE(std::filesystem::exists(old));
    for (std::uint64_t n = 2; n < 6; ++n) {
        replace_checkpoint(path, checkpoint(n));
        CHECK(number_in(path) == n);
        CHECK(number_in(old) == n - 1);
    }
    struct stat st;
    REQUIRE(::stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
    CHECK_FALSE(std::filesystem::exists(path + ".link"));
}

TEST_CASE("checkpoint: after a kill between its steps")
{
    const TempDir dir;
    const std::string path = dir / "checkpoint", old = path + ".old";
    replace_checkpoint(path, checkpoint(1));
    replace_checkpoint(path, checkpoint(2));
    SUBCASE("half a new one") { poke(path + ".new", 0, "xenst"); }
    SUBCASE("second name made") { REQUIRE(::link(path.c_str(), (path + ".link").c_str()) == 0); }
    SUBCASE("old one replaced: both names are of one file")
    {
        poke(path + ".new", 0, checkpoint(3));
        REQUIRE(::unlink(old.c_str()) == 0);
        REQUIRE(::link(path.c_str(), old.c_str()) == 0);
    }
    replace_checkpoint(path, checkpoint(3));
    CHECK(number_in(path) == 3);
    CHECK(number_in(old) == 2);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
    CHECK_FALSE(std::filesystem::exists(path + ".link"));
}

TEST_CASE("checkpoint: one that cannot be written leaves all as it was")
{
    const TempDir dir;
    const std::string path = dir / "checkpoint";
    CHECK_THROWS_AS(replace_checkpoint(dir / "no/checkpoint", "x"), std::system_error);
    replace_checkpoint(path, checkpoint(1));
    replace_checkpoint(path, checkpoint(2));
    // A directory in the way of the temporary file.
    std::filesystem::create_directory(path + ".new");
    CHECK_THROWS_AS(replace_checkpoint(path, checkpoint(3)), std::system_error);
    CHECK(number_in(path) == 2);
    CHECK(number_in(path + ".old") == 1);
}

TEST_CASE("checkpoint: killed at random, one is always there and whole")
{
    const TempDir dir;
    const std::string path = dir / "checkpoint", old = path + ".old";
    replace_checkpoint(path, checkpoint(1));
    replace_checkpoint(path, checkpoint(2));
    std::uint64_t n = 2;
    for (std::uint64_t round = 0; round < 50; ++round) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (std::uint64_t i = n + 1;; ++i)
                replace_checkpoint(path, checkpoint(i));
        }
        ::usleep(static_cast<useconds_t>(mix(round) % 3000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        const std::uint64_t now = number_in(path), before = number_in(old);
        CHECK(now >= n);
        CHECK(before <= now);
        CHECK(before + 1 >= now);
        n = now;
    }
    CHECK(n > 2);
}
