// SPDX-License-Identifier: MIT
// Logs of strace as it prints them: clients, daemons, threads, cut strings.
#include "bisect/record/import/strace_call.hpp"
#include "tests/unit/record/import.hpp"

#include <doctest/doctest.h>

using namespace xsgit::record;
using namespace std::string_literals;
using Texts = std::vector<std::string>;

TEST_CASE("the begin of a line")
{
    const StraceLine a = strace_line("23968 07:24:53.642606 read(3)");
    CHECK((a.pid == 23968 && a.us == 26693642606 && !a.wall && a.rest == "read(3)"));
    const StraceLine b = strace_line("[pid   12] 1795333542.5 read(3)");
    CHECK((b.pid == 12 && b.us == 1795333542500000 && b.wall && b.rest == "read(3)"));
    const StraceLine c = strace_line("07:24:53 read(3)");
    CHECK((c.pid == 0 && c.us == 26693000000 && c.rest == "read(3)"));
    const StraceLine d = strace_line("read(3)");
    CHECK((d.pid == 0 && !d.us && d.rest == "read(3)"));
    const StraceLine e = strace_line("12 read(3)");
    CHECK((e.pid == 12 && !e.us && e.rest == "read(3)"));
}

TEST_CASE("calls")
{
    const auto data = [](const char *text) {
        const auto c = strace_call(text);
        return c ? c->data + (c->cut ? "|cut" : "") : "none";
    };
    CHECK(data(R"(write(3, "\x2f\x61\x00", 3) = 3)") == "/a\0"s);
    CHECK(data(R"(write(3, "/a\0b\n\t\"\\\1771", 10) = 10)") == "/a\0b\n\t\"\\\x7f"
                                                                "1"s);
    CHECK(data(R"(write(3, "abcdef", 6) = 2)") == "ab");
    CHECK(data(R"(read(3<UNIX-STREAM:[110544->110549]>, "z", 1) = 1)") == "z");
    CHECK(data(R"(read(3, "abc"..., 4096) = 5)") == "abc??|cut");
    CHECK(data(R"(read(3, 0x7f2130000c20, 16) = 16)") == "????????????????|cut");
    CHECK(data(R"(read(3, 0x7f2130000c20, 16) = -1 EAGAIN (Resource temporarily unavailable))") == "");
    CHECK(data(R"(read(3, 0x7f2130000c20, 16) = ? ERESTARTSYS (To be restarted))") == "");
    CHECK(data(R"(recvfrom(3, "xyz", 16, MSG_DONTWAIT, NULL, NULL) = 3)") == "xyz");
    CHECK(data(R"(writev(3, [{iov_base="ab", iov_len=2}, {iov_base="cd", iov_len=2}], 2) = 3)") == "abc");
    CHECK(
        data(
            R"(sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="ab"..., iov_len=4}, {iov_base="cd", iov_len=2}], msg_iovlen=2, msg_controllen=0, msg_flags=0}, MSG_NOSIGNAL) = 6)") ==
        "ab??cd|cut");
    CHECK(data(R"(recvmsg(7, {msg_iov=[{iov_base="abc", iov_len=4112}], msg_iovlen=1}, 0) = 3)") == "abc");
    CHECK(data("mmap(3) = 0") == "none");
    CHECK(data("--- SIGCHLD {si_signo=SIGCHLD} ---") == "none");
    const auto c = strace_call(R"(connect(3, {sa_family=AF_UNIX, sun_path="\x2f\x61"}, 110) = 0)");
    REQUIRE(c);
    CHECK((c->path == "/a" && c->fd == 3 && c->result == 0));
    CHECK(strace_call("clone3({flags=CLONE_VM|CLONE_FILES, exit_signal=0} => {parent_tid=[5]}, 88) = 5")
              ->shares_files);
}

TEST_CASE("a client with a thread that reads, as strace printed it")
{
    const std::string head = "23968 07:24:53.642606 connect(3, {sa_family=AF_UNIX, "
                             "sun_path=\"/run/xenstored/socket\"}, 110) = 0\n";
    const std::string log =
        head +
        R"(23968 07:24:53.642967 write(3, "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00", 16) = 16
23968 07:24:53.643015 write(3, "\x2f\x61\x00", 3) = 3
23968 07:24:53.643045 write(3, "\x2f\x61\x00", 3) = 3
23969 07:24:53.643118 read(3,  <unfinished ...>
23968 07:24:53.643200 write(1, "\x2f\x61\x0a", 3) = 3
23969 07:24:53.643300 <... read resumed>"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00", 16) = 16
23969 07:24:53.645736 read(3, "\x4f\x4b\x00", 3) = 3
23969 07:24:53.645857 read(3, "\x0f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00", 16) = 16
23969 07:24:53.645896 read(3, "\x2f\x61\x00\x2f\x61\x00", 6) = 6
23969 07:24:53.646004 read(3,  <unfinished ...>
23969 07:24:53.646627 <... read resumed>0x7f2130000c20, 16) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
23969 07:24:53.646852 +++ exited with 0 +++
23968 07:24:53.647075 +++ exited with 0 +++
)";
    const Texts same = {"0.000000 c1 open socket pid 23968", "0.000439 c1 request 0 WATCH /a|/a|",
                        "0.003130 c1 reply 0 WATCH OK|", "0.003290 c1 event /a|/a|", "0.004469 c1 close"};
    auto got = imported(log);
    REQUIRE(got.notes.size() == 1);
    CHECK(got.notes[0].starts_with("1 threads were taken for"));
    got.lines.pop_back(); // that note
    CHECK(got.lines == same);
    // With the thread's birth there is nothing to guess.
    const auto known = imported(head + "23968 07:24:53.642700 clone(flags=CLONE_VM|CLONE_FILES) = 23969\n" +
                                log.substr(head.size()));
    CHECK(known.notes.empty());
    CHECK(known.lines == same);
}

TEST_CASE("a daemon, from the middle of its life")
{
    const auto got = imported(R"(07:00:00.000001 read(9, "\x02\0\0\0\1\0\0\0\0\0\0\0\3\0\0\0/a\0", 4112) = 19
23:59:59.000001 write(9, "\x02\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0v", 17) = 17
00:00:01.000001 write(9, "\x0f\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0/\0t\0", 20) = 20
00:00:02.000001 read(9, "", 4112) = 0
)");
    CHECK(got.lines == Texts{"0.000000 c1 was-open socket", "0.000000 c1 request 1 READ /a|",
                             "61199.000000 c1 reply 1 READ v", "61201.000000 c1 event /|t|",
                             "61202.000000 c1 close"});
}

TEST_CASE("what strace did not print is marked, and what can no longer be followed is told")
{
    const auto cut = imported(R"(write(3, "\v\0\0\0\1\0\0\0\0\0\0\0\12\0\0\0/a\0val"..., 26) = 26
write(3, "\2\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0/a\0", 19) = 19
)");
    CHECK(cut.lines.at(1) == "0.000000 c1 request 1 WRITE (redacted) /a|val????");
    CHECK(cut.lines.at(2) == "0.000000 c1 request 2 READ /a|");
    CHECK(cut.notes.at(0).starts_with("1 messages have bytes that strace did not print"));
    const auto lost = imported(R"(write(3, "\2\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0/a\0", 19) = 19
write(3, "hello, I am something else", 26) = 26
)");
    CHECK(lost.lines.at(1) == "0.000000 c1 request 2 READ /a|");
    CHECK(lost.notes.at(0).starts_with("1 streams could not be followed"));
}
