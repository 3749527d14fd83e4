// SPDX-License-Identifier: MIT
// Lines and times as people see them.
#include "inspect/json.hpp"
#include "inspect/text.hpp"
#include "inspect/time_spec.hpp"

#include <cstdlib>
#include <ctime>
#include <doctest/doctest.h>

using namespace xsgit::inspect;
using namespace std::string_literals;

TEST_CASE("xenstore-ls' line")
{
    // As Debian's xenstore-ls -f -p 4.17 printed it.
    CHECK(ls_line("/esc", {"a\"b\\c\n\t\r\x1b x", "n0"}) == R"(/esc = "a"b\\c\n\t\r\x1b x"   (n0))");
    CHECK(ls_line("/nul", {"ab\0cd"s, "b0,r1,w2,n3"}) == R"(/nul = "ab\000cd"   (b0,r1,w2,n3))");
    CHECK(ls_line("/low", {"\007\010\377", "n0,r5!"}) == R"(/low = "\007\x08\xff"   (n0,r5))");
}

TEST_CASE("changes")
{
    const NodeChange added{"/a", std::nullopt, NodeState{"1", "n0"}};
    const NodeChange value{"/a", NodeState{"1", "n0"}, NodeState{"2", "n0"}};
    const NodeChange perms{"/a", NodeState{"1", "n0"}, NodeState{"1", "n5"}};
    const NodeChange removed{"/a", NodeState{"1", "n0"}, std::nullopt};
    CHECK(change_letter(added) == 'A');
    CHECK(change_letter(value) == 'M');
    CHECK(change_letter(perms) == 'P');
    CHECK(change_letter(removed) == 'D');
    CHECK(change_text(value, "  ") == "  - /a = \"1\"   (n0)\n  + /a = \"2\"   (n0)\n");
    CHECK(json_line(change_json(perms)) == R"({"status":"P","path":"/a","before":{"value":"1","perms":"n0"},)"
                                           R"("after":{"value":"1","perms":"n5"}})"
                                           "\n");
}

TEST_CASE("JSON takes any bytes and stays one line of ASCII")
{
    CHECK(json_line(node_json("/a", {"\xc3\xa9\x7f\n", "n0"})) ==
          R"({"path":"/a","value":"\u00e9\u007f\n","perms":"n0"})"
          "\n");
    for (const char *bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\xe2\x82"})
        CHECK(node_json("/a", {bad, "n0"}).contains("value_hex"));
    CHECK(json_line(node_json("/a", {"\xff\x01", "n0"})) == R"({"path":"/a","value_hex":"ff01","perms":"n0"})"
                                                            "\n");
}

TEST_CASE("statistics")
{
    ChangeStat stat;
    stat.add({"/local/domain/5/name", std::nullopt, NodeState{}});
    stat.add({"/local/domain/5/vm", NodeState{"1", ""}, NodeState{"2", ""}});
    stat.add({"/vm/x/y/z", NodeState{}, std::nullopt});
    stat.add({"/tool", std::nullopt, NodeState{}});
    CHECK(stat.text() == " /               | 1 +1\n"
                         " /local/domain/5 | 2 +1 ~1\n"
                         " /vm/x           | 1 -1\n"
                         " 2 nodes added, 1 removed, 1 changed\n");
}

TEST_CASE("times as journalctl takes them")
{
    const std::int64_t now = 1'700'000'000'250'000; // Tue 2023-11-14 22:13:20.25 UTC
    const auto at = [&](const char *text) { return parse_time(text, now, true).value_or(-1); };
    CHECK(at("now") == now);
    CHECK(at("-5min") == now - 300'000'000);
    CHECK(at("now-5min") == now - 300'000'000);
    CHECK(at("-1h30min") == now - 5'400'000'000);
    CHECK(at("-0.5s") == now - 500'000);
    CHECK(at("+2h") == now + 7'200'000'000);
    CHECK(at("10 seconds ago") == now - 10'000'000);
    CHECK(at("today") == 1'699'920'000'000'000);
    CHECK(at("yesterday") == 1'699'833'600'000'000);
    CHECK(at("22:13") == 1'699'999'980'000'000);
    CHECK(at("22:13:20.000001") == 1'700'000'000'000'001);
    CHECK(at("2023-11-14") == 1'699'920'000'000'000);
    CHECK(at("2023-11-14 22:13:20") == 1'700'000'000'000'000);
    CHECK(at("2023-11-14T22:13:20.5Z") == 1'700'000'000'500'000);
    CHECK(at("@1700000000.5") == 1'700'000'000'500'000);
    for (const char *none : {"", "-", "-5", "-5parsecs", "main", "HEAD", "25:00", "10:60", "10:23x",
                             "2023-13-01", "#5", "abc123", "1234567", "-5min-", "@", "v1.0"})
        CHECK_MESSAGE(at(none) == -1, none);
}

TEST_CASE("times without a zone are local")
{
    setenv("TZ", "XST-2", 1);
    tzset();
    CHECK(parse_time("2023-11-15 00:13:20", 0, false) == 1'700'000'000'000'000);
    CHECK(parse_time("2023-11-14 22:13:20 UTC", 0, false) == 1'700'000'000'000'000);
    CHECK(short_time(1'700'000'000'000'042, false) == "Nov 15 00:13:20.000042");
    CHECK(short_time(1'700'000'000'000'042, true) == "Nov 14 22:13:20.000042");
    CHECK(long_time(1'700'000'000'000'042, false) == "Wed 2023-11-15 00:13:20.000042 XST");
    CHECK(iso_time(1'700'000'000'000'042) == "2023-11-14T22:13:20.000042Z");
    unsetenv("TZ");
    tzset();
}
