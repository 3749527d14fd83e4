// SPDX-License-Identifier: MIT
// Recordings as files: rotated, kept, never replaced unasked.
#include "bisect/record/recorder.hpp"
#include "bisect/record/session_file.hpp"
#include "tests/unit/daemon/temp_dir.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

using namespace xsgit;
using namespace xsgit::record;
using namespace std::string_literals;

namespace {

std::string bytes_of(const std::string &path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::string &path)
{
    const std::string bytes = bytes_of(path);
    session::Reader reader(bytes);
    std::vector<std::string> out{session::line({0, reader.meta()})};
    while (const auto r = reader.next())
        out.push_back(session::line(*r));
    return out;
}

session::Request request(std::uint64_t conn, std::string payload)
{
    return {{conn, 2, 0, 0, false, std::move(payload)}, {}};
}

} // namespace

TEST_CASE("what was flushed can be read, though nobody ended the session")
{
    const TempDir dir;
    SessionFile file({dir / "s"}, {5'000'000, "proxy", ""});
    file.add(1, session::Opened{1, false, session::Transport::Socket, {}, 7, 0, "xl"});
    file.add(2, request(1, "/a\0"s));
    file.flush();
    file.add(3, request(1, "/lost\0"s));
    CHECK(lines_of(dir / "s") == std::vector<std::string>{"0.000000 session @5.000000 proxy",
                                                          "0.000001 c1 open socket pid 7 uid 0 xl",
                                                          "0.000002 c1 request 0 READ /a|"});
}

TEST_CASE("a file that is there is not replaced unasked")
{
    const TempDir dir;
    SessionFile({dir / "s"}, {0, "proxy", ""}).finish(0, "stopped");
    CHECK_THROWS_WITH_AS(
        SessionFile({dir / "s"}, {0, "proxy", ""}),
        doctest::Contains("is there already: remove it, choose another name, or say --force"),
        std::runtime_error);
    FileOptions o{dir / "s"};
    o.replace = true;
    SessionFile(o, {0, "again", ""}).finish(0, "stopped");
    CHECK(lines_of(dir / "s")[0] == "0.000000 session @0.000000 again");
}

TEST_CASE("rotation by time: each file is a session, which names the next and knows who is connected")
{
    const TempDir dir;
    FileOptions o{dir / "s"};
    o.rotate_seconds = 1;
    SessionFile file(o, {5'000'000, "proxy", ""});
    file.add(0, session::Opened{1, false, session::Transport::Socket, {}, {}, {}, ""});
    file.add(0, session::Opened{2, false, session::Transport::Socket, {}, {}, {}, ""});
    file.add(10, session::Closed{2});
    file.add(1'500'000, request(1, "/a\0"s));
    file.finish(1'600'000, "stopped");
    CHECK(lines_of(dir / "s.1").back() == "1.500000 end continued in s.2");
    CHECK(lines_of(dir / "s.2") ==
          std::vector<std::string>{"0.000000 session @6.500000 proxy", "0.000000 note goes on from s.1",
                                   "0.000000 c1 was-open socket", "0.000000 c1 request 0 READ /a|",
                                   "0.100000 end stopped"});
}

TEST_CASE("rotation by size, and only the newest are kept")
{
    const TempDir dir;
    FileOptions o{dir / "s"};
    o.rotate_bytes = 4096;
    o.keep = 2;
    SessionFile file(o, {0, "proxy", ""});
    file.add(0, session::Opened{1, false, session::Transport::Socket, {}, {}, {}, ""});
    for (int i = 0; i < 100; ++i)
        file.add(0, request(1, std::string(1000, 'x')));
    file.finish(0, "stopped");
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(dir / ""))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    REQUIRE(names.size() == 2);
    CHECK(lines_of(dir / names[0]).back().ends_with("continued in " + names[1]));
    CHECK(lines_of(dir / names[1]).back() == "0.000000 end stopped");
    CHECK(bytes_of(dir / names[0]).size() < 4096 + 1100 + 200);
}

TEST_CASE("a number that is taken is left out")
{
    const TempDir dir;
    std::ofstream(dir / "s.2") << "mine";
    FileOptions o{dir / "s"};
    o.rotate_seconds = 1;
    SessionFile file(o, {0, "proxy", ""});
    file.add(2'000'000, session::Note{"x"});
    CHECK(file.path() == dir / "s.3");
    CHECK(bytes_of(dir / "s.2") == "mine");
}

TEST_CASE("what no session can hold is told in a note")
{
    const TempDir dir;
    SessionFile file({dir / "s"}, {0, "proxy", ""});
    file.add(0, request(9, ""));
    file.flush();
    CHECK(lines_of(dir / "s").back().find("note not recorded: ") != std::string::npos);
}

TEST_CASE("the recorder tells what it could not record")
{
    const TempDir dir;
    SessionFile file({dir / "s"}, {0, "proxy", ""});
    const Redaction none;
    Recorder recorder(file, none);
    recorder.opened(0, {1, false, session::Transport::Socket, {}, {}, {}, ""});
    recorder.bytes(1, 1, From::Client, std::string(16, '\xff') + "garbage");
    recorder.bytes(2, 1, From::Client, "more");
    recorder.bytes(3, 1, From::Daemon, "half");
    recorder.closed(4, 1);
    file.flush();
    const auto lines = lines_of(dir / "s");
    REQUIRE(lines.size() == 6);
    CHECK(lines[2].find(
              "note c1: from here on what its client sends is not recorded: it announced a message of "
              "4294967295 bytes") != std::string::npos);
    CHECK(lines[3].ends_with("note c1: 27 bytes of its client were not recorded"));
    CHECK(lines[4].ends_with("note c1: 4 bytes of its daemon are no whole message"));
    CHECK(lines[5].ends_with("c1 close"));
}
