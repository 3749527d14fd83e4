// SPDX-License-Identifier: MIT
// What daemons write into their logs, as they wrote it, and hostile lines.
#include "tests/unit/record/import.hpp"

#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>

using namespace xsgit::record;
using Texts = std::vector<std::string>;

namespace {

struct Utc {
    Utc()
    {
        setenv("TZ", "UTC", 1);
        tzset();
    }
};

} // namespace

TEST_CASE("the C daemon's trace: transactions and req_ids by their order, values over several lines")
{
    const Utc utc;
    const auto got = imported("\n***\nCREATE connection 0x559f\n"
                              "Checking store ...\nwrl: dom    0      0  msec      10000 credit     -10000\n"
                              "IN 0x559f 20261122 07:24:53 TRANSACTION_START ( )\n"
                              "OUT 0x559f 20261122 07:24:53 TRANSACTION_START (17 )\n"
                              "IN 0x559f 20261122 07:24:53 WRITE (/b x y\nz )\n"
                              "wrl: dom    0      0  msec      10000 credit\n"
                              "OUT 0x559f 20261122 07:24:54 WRITE (OK )\n"
                              "IN 0x559f 20261122 07:24:54 TRANSACTION_END (T )\n"
                              "DESTROY transaction 0x559f18b50\n"
                              "OUT 0x559f 20261122 07:24:54 TRANSACTION_END (OK )\n"
                              "io: IN 0x77 (d3) 20261122 07:24:55 WATCH (device to ken )\n"
                              "io: OUT(START) 0x77 (d3) 20261122 07:24:55 WATCH (OK )\n"
                              "io: OUT(END) 0x77 (d3) 20261122 07:24:55 WATCH (OK )\n"
                              "io: OUT 0x77 (d3) 20261122 07:24:55 WATCH_EVENT (device to ken )\n"
                              "IN 0x559f 20261122 07:24:55 READ (/b )\n"
                              "OUT 0x559f 20261122 07:24:55 ERROR (ENOENT )\n"
                              "DESTROY connection 0x559f\n"
                              "OUT 0x77 20261122 07:24:56 READ (a\\134b)\n"
                              "something else\n");
    CHECK(got.lines ==
          Texts{"0.000000 c1 open", "0.000000 c1 request 1 TRANSACTION_START |",
                "0.000000 c1 reply 1 TRANSACTION_START 17|", "0.000000 c1 request 2 tx17 WRITE /b|x y\\nz ",
                "1.000000 c1 reply 2 tx17 WRITE OK|", "1.000000 c1 request 3 tx17 TRANSACTION_END T|",
                "1.000000 c1 reply 3 tx17 TRANSACTION_END OK|", "2.000000 c2 open d3",
                "2.000000 c2 request 1 WATCH device|to ken|", "2.000000 c2 reply 1 WATCH OK|",
                "2.000000 c2 event device|to ken|", "2.000000 c1 request 4 READ /b|",
                "2.000000 c1 reply 4 ERROR ENOENT|", "2.000000 c1 close", "3.000000 c2 reply 0 READ a\\\\b",
                "3.000000 note 1 lines that are none of a trace file were left out",
                "3.000000 note 1 replies came to requests from before the trace"});
    CHECK(got.notes.size() == 2);
}

TEST_CASE("oxenstored's access log")
{
    const auto got = imported("[20261122T07:24:52.353Z]  A1           newconn   \n"
                              "[20261122T07:24:52.353Z]  A1.1         write     /a hello\n"
                              "[20261122T07:24:52.354Z]  A1.1         write     /b x\\\\\\n\\001\\\"y\n"
                              "[20261122T07:24:52.355Z]  A1.1         commit    \n"
                              "[20261122T07:24:52.356Z]  A1           endconn   \n"
                              "[20261122T07:24:52.370Z]  D4           watch     device /to ken \n"
                              "[20261122T07:24:52.370Z]  D4           w event   device /to ken \n"
                              "[20261122T07:24:52.400Z]  D4.7         rm        data/x \n"
                              "[20261122T07:24:52.400Z]  D4.7         conflict  \n"
                              "[20261122T07:24:52.401Z]  D4.7         error     EAGAIN \n"
                              "[20261122T07:24:52.402Z]  D4           coalesce  write x\n"
                              "garbage\n");
    CHECK(got.lines ==
          Texts{"0.000000 c1 open socket d0", "0.000000 c1 request 1 TRANSACTION_START |",
                "0.000000 c1 reply 1 TRANSACTION_START 1|", "0.000000 c1 request 2 tx1 WRITE /a|hello",
                "0.001000 c1 request 3 tx1 WRITE /b|x\\\\\\n\\x01\"y",
                "0.002000 c1 request 4 tx1 TRANSACTION_END T|", "0.002000 c1 reply 4 tx1 TRANSACTION_END OK|",
                "0.003000 c1 close", "0.017000 c2 was-open ring d4",
                "0.017000 c2 request 1 WATCH device|/to ken|", "0.017000 c2 event device|/to ken|",
                "0.047000 c2 request 2 TRANSACTION_START |", "0.047000 c2 reply 2 TRANSACTION_START 7|",
                "0.047000 c2 request 3 tx7 RM data/x|", "0.047000 c2 request 4 tx7 TRANSACTION_END T|",
                "0.048000 c2 reply 4 tx7 ERROR EAGAIN|",
                "0.048000 note 1 lines that are none of an access log were left out"});
}

TEST_CASE("a line that oxenstored has cut is marked")
{
    std::string line = "[20261122T07:24:52.353Z]  A1           write     /a ";
    line.resize(177, 'x');
    const auto got = imported(line + "..\n");
    REQUIRE(got.lines.size() >= 2);
    CHECK(got.lines[1].starts_with("0.000000 c1 request 1 WRITE (redacted) /a|xxx"));
    CHECK(got.notes == Texts{"1 messages were cut by the log: they are marked as redacted"});
}

TEST_CASE("redaction reaches logs")
{
    const auto got = imported("[20261122T07:24:52.353Z]  A1           write     /a/secret hello\n"
                              "[20261122T07:24:52.353Z]  A1           write     /b hello\n",
                              LogKind::Oxenstored, {"*/secret"});
    CHECK(got.lines == Texts{"0.000000 c1 was-open socket d0",
                             "0.000000 c1 request 1 WRITE (redacted) /a/secret|*****",
                             "0.000000 c1 request 2 WRITE /b|hello"});
}

TEST_CASE("what is no log is refused in words")
{
    const auto says = [](const std::string &log, LogKind kind, const char *text) {
        CHECK_THROWS_WITH_AS(imported(log, kind), doctest::Contains(text), std::runtime_error);
    };
    says("", LogKind::Auto, "name its kind with --from");
    says("hello\nworld\n", LogKind::Auto, "name its kind with --from");
    says("hello\n", LogKind::CTrace, "there is no message of a xenstored in it");
    says("IN 0x1 20261122 07:24:53 READ (/a )\n" + std::string(3u << 20, 'x'), LogKind::Auto,
         "line 2 is longer than 1048576 bytes");
    for (const char *hostile :
         {"IN 0x1 20261322 07:24:53 READ", "IN 0x1 20261122 07:24:5x READ (/a )", "IN 0x (", "IN", "io: OUT(",
          "[20261122T07:24:52.353Z] ", "[20261122T07:24:52.353Z]  A.",
          "[20261122T07:24:52.353Z]  A1.99999999999 write     x", "write(", "write(3", "write(3, \"",
          "write(3, \"\\x", "writev(3, [{iov_base=", "1 1:2:3 read(3, \"\", 16) = 99999999999", "[pid",
          "12 <... read resumed>", "12 read(3,  <unfinished ...>", "clone(", "= = ="})
        for (const LogKind kind : {LogKind::CTrace, LogKind::Oxenstored, LogKind::Strace})
            says(hostile, kind, "there is no message of a xenstored in it");
}

TEST_CASE("a value that never ends does not fill the memory")
{
    const Utc utc;
    std::string log = "IN 0x1 20261122 07:24:53 WRITE (/a x\n";
    for (int i = 0; i < 20000; ++i)
        log += "and more\n";
    const auto got = imported(log + "IN 0x1 20261122 07:24:54 READ (/a )\n");
    CHECK(got.lines.at(1) == "0.000000 c1 request 1 READ /a|");
    CHECK(got.notes.at(1) == "1 messages longer than the protocol allows were left out");
}
