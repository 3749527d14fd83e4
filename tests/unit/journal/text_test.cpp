// SPDX-License-Identifier: MIT
#include "xsgit/journal/text.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace xsgit;
using namespace std::string_literals;

TEST_CASE("text: a request")
{
    const std::string wire = "\x0b\0\0\0\4\0\0\0\1\0\0\0\7\0\0\0/a\0x\"\\\xff"s;
    Event e;
    e.number = 12;
    e.kind = EventKind::Request;
    e.mono_us = -5;
    e.wall_us = 1'700'000'000'000'001;
    e.conn = 3;
    e.request = 9;
    e.facts = "5 1";
    e.wire = wire;
    CHECK(json_line(e) == R"({"n":12,"kind":"request","mono":-5,"wall":1700000000000001,"conn":3,"req":9,)"
                          R"("facts":"5 1","type":"WRITE","tx":1,"payload":"/a\\x00x\"\\\\\\xff"})");
}

TEST_CASE("text: other kinds have no request")
{
    Event e;
    e.number = 1;
    e.kind = EventKind::Connect;
    e.facts = "socket 0 1 0 a\nb";
    CHECK(json_line(e) ==
          R"({"n":1,"kind":"connect","mono":0,"wall":0,"conn":0,"req":0,"facts":"socket 0 1 0 a\\nb"})");
}

TEST_CASE("text: requests that are none still make a line")
{
    std::string wire = "\x14\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0"s;
    Event e;
    e.kind = EventKind::Poison;
    e.wire = wire;
    CHECK(nlohmann::json::parse(json_line(e)).at("type") == "20");
    wire[1] = '\1';
    CHECK(nlohmann::json::parse(json_line(e)).at("type") == "276");
    CHECK(nlohmann::json::parse(json_line(e)).at("payload") == "");
    for (std::size_t n = 0; n < 16; ++n) {
        e.wire = std::string_view(wire).substr(0, n);
        const auto j = nlohmann::json::parse(json_line(e));
        CHECK(j.contains("wire"));
        CHECK_FALSE(j.contains("type"));
    }
}

TEST_CASE("text: any byte gives one line of ASCII that parses")
{
    std::string all;
    for (int c = 0; c < 256; ++c)
        all += static_cast<char>(c);
    Event e;
    e.kind = EventKind::Request;
    e.facts = all;
    e.wire = all;
    const std::string line = json_line(e);
    for (const char c : line) {
        CHECK(c >= ' ');
        CHECK(c <= '~');
    }
    CHECK(nlohmann::json::parse(line).at("kind") == "request");
}

TEST_CASE("text: names")
{
    CHECK(request_name(0) == "CONTROL");
    CHECK(request_name(11) == "WRITE");
    CHECK(request_name(20) == "");
    CHECK(request_name(21) == "RESET_WATCHES");
    CHECK(request_name(26) == "SET_QUOTA");
    CHECK(request_name(27) == "");
    CHECK(request_name(65535) == "");
    CHECK(kind_name(EventKind::Restart) == "restart");
    CHECK(kind_name(static_cast<EventKind>(99)) == "invalid");
}
