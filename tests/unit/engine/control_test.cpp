// SPDX-License-Identifier: MIT
// CONTROL: texts of the C daemon, and what is left to the server.
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

std::string control(World &w, std::uint64_t c, std::initializer_list<std::string_view> words,
                    std::string_view facts = {})
{
    return w.ask(c, MsgType::Control, args(words), 0, facts);
}

Needs needs(World &w, std::uint64_t conn, MsgType type, const std::string &payload)
{
    std::string wire(kHeaderSize, '\0');
    write_header({static_cast<std::uint32_t>(type), 0, 0, static_cast<std::uint32_t>(payload.size())},
                 wire.data());
    wire += payload;
    Event e;
    e.kind = EventKind::Request;
    e.conn = conn;
    e.wire = wire;
    return w.state.needs(e);
}

} // namespace

TEST_CASE("quotas are shown and set")
{
    World w;
    const auto c = w.connect();
    CHECK(control(w, c, {"quota"})
              .starts_with("Quota settings:\nnodes            :     1000 Nodes per domain\n"));
    CHECK(control(w, c, {"quota", "set", "nodes", "50"}) == "OK");
    CHECK(control(w, c, {"quota"}).find("nodes            :       50 Nodes") != std::string::npos);
    CHECK(control(w, c, {"quota", "set", "nodes", "0"}) == "EINVAL");
    CHECK(control(w, c, {"quota", "set", "nodes"}) == "EINVAL");
    CHECK(control(w, c, {"quota", "set", "noodles", "5"}) == "EINVAL");
    CHECK(control(w, c, {"quota", "set", "soft-memory", "5"}) == "EINVAL");
    CHECK(control(w, c, {"quota", "9"}) == "ENOENT");
    CHECK(
        control(w, c, {"quota", "0"}).starts_with("Domain 0:\nnodes            :        5 (max        5)\n"));
    CHECK(control(w, c, {"quota-soft"}) ==
          "Quota settings:\nmemory           :  2097152 Total Xenstore memory per domain (warning level)\n");
    CHECK(control(w, c, {"quota-soft", "set", "memory", "7"}) == "OK");
    CHECK(w.ask(c, MsgType::GetQuota, args({"soft-memory"})) == "7");
    w.introduce(c, 5);
    w.ask(w.last_attached(), MsgType::Watch, args({"x", "t"}));
    CHECK(control(w, c, {"quota", "max"}).find("watches          :        1\n") != std::string::npos);
    CHECK(control(w, c, {"quota", "max", "-r"}).find("watches          :        0\n") != std::string::npos);
    CHECK(control(w, c, {"quota", "max", "-x"}) == "EINVAL");
}

TEST_CASE("what the server does comes as a fact")
{
    World w;
    const auto c = w.connect();
    CHECK(control(w, c, {"sync"}, "+OK") == "OK");
    CHECK(control(w, c, {"logfile", "/x"}, "!EINVAL") == "EINVAL");
    CHECK(control(w, c, {"memreport"}, "") == "EINVAL");
    CHECK(control(w, c, {"nonsense"}) == "EINVAL");
    CHECK(control(w, c, {}) == "EINVAL");
    CHECK(control(w, c, {"check"}) == "OK");
    CHECK(control(w, c, {"check", "more"}) == "EINVAL");
    CHECK(control(w, c, {"help"})
              .starts_with("Supported commands:\ncheck           \nlog             [on|off|"));
    CHECK(control(w, c, {"status"}, "+" + std::string(5000, 'x')) == "E2BIG");
    CHECK(w.ask(c, MsgType::Control, args({"help"}), 77) == "ENOENT");

    CHECK(needs(w, c, MsgType::Control, args({"sync"})).control);
    CHECK(!needs(w, c, MsgType::Control, args({"quota"})).control);
    CHECK(needs(w, c, MsgType::Control, args({"nonsense"})).empty());
    const auto guest = w.connect(5);
    CHECK(needs(w, guest, MsgType::Control, args({"sync"})).empty());
    CHECK(needs(w, guest, MsgType::Introduce, args({"6", "1", "3"})).empty());
    const Needs n = needs(w, c, MsgType::Introduce, args({"6", "1", "3"}));
    CHECK(n.domids == std::vector<std::uint32_t>{6});
    REQUIRE(n.attach);
    CHECK(n.attach->domid == 6);
    CHECK(n.attach->port == 3);
    CHECK(needs(w, c, MsgType::Introduce, args({"6", "1", "0"})).empty());
    CHECK(needs(w, c, MsgType::GetFeature, args({"7"})).domids == std::vector<std::uint32_t>{7});
    CHECK(needs(w, c, MsgType::GetFeature, args({"5"})).empty()); // known
}
