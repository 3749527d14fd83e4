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
          "Quota settings:\nmemory           :  2097152 Total Xenstore memory per domain\n");
    CHECK(control(w, c, {"quota"}).find("memory           :  2621440 Total Xenstore memory per domain\n") !=
          std::string::npos);
    CHECK(control(w, c, {"quota-soft", "set", "memory", "7"}) == "OK");
    CHECK(w.ask(c, MsgType::GetQuota, args({"soft-memory"})) == "7");
    w.introduce(c, 5);
    w.ask(w.last_attached(), MsgType::Watch, args({"x", "t"}));
    CHECK(control(w, c, {"quota", "max"}).find("watches          :        1\n") != std::string::npos);
    w.ask(w.last_attached(), MsgType::Unwatch, args({"x", "t"}));
    CHECK(control(w, c, {"quota", "max"}).find("watches          :        1\n") != std::string::npos);
    CHECK(control(w, c, {"quota", "max", "-r"}).find("watches          :        0\n") != std::string::npos);
    CHECK(control(w, c, {"quota", "max", "-x"}) == "EINVAL");
}

TEST_CASE("what a domain uses has a highest value in each line; a name that is no number is no domain")
{
    World w;
    const auto c = w.connect();
    w.introduce(c, 5);
    CHECK(control(w, c, {"quota", "5"}, "outstanding 7") == "Domain 5:\n"
                                                            "nodes            :        0 (max        0)\n"
                                                            "watches          :        0 (max        0)\n"
                                                            "outstanding      :        7 (max        7)\n"
                                                            "memory           :        0 (max        0)\n"
                                                            "transactions     :        0 (max        0)\n"
                                                            "transaction-nodes:        0 (max        0)\n"
                                                            "node-permissions :        0 (max        0)\n"
                                                            "path-max         :        0 (max        0)\n"
                                                            "node-size        :        0 (max        0)\n");
    CHECK(
        control(w, c, {"quota", "5"}, "outstanding 2").find("outstanding      :        2 (max        7)\n") !=
        std::string::npos);
    CHECK(control(w, c, {"quota", "max"}) == "Max. seen accounting values:\n"
                                             "nodes            :        0\n"
                                             "watches          :        0\n"
                                             "outstanding      :        7\n"
                                             "memory           :        0\n"
                                             "transactions     :        0\n"
                                             "transaction-nodes:        0\n"
                                             "node-permissions :        0\n"
                                             "path-max         :        0\n"
                                             "node-size        :        0\n");
    // The control domain's own numbers are not among those of the domains that have limits.
    control(w, c, {"quota", "max", "-r"});
    control(w, c, {"quota", "0"}, "outstanding 9");
    CHECK(control(w, c, {"quota", "max"}).find("outstanding      :        0\n") != std::string::npos);
    CHECK(control(w, c, {"quota", "x"}) == "EINVAL"); // the C daemon shows domain 0
    CHECK(control(w, c, {"quota", "5x"}) == "EINVAL");
    CHECK(control(w, c, {"quota", ""}) == "EINVAL");
    CHECK(control(w, c, {"quota", "5", "6"}) == "EINVAL");
}

TEST_CASE("a limit may be set by the name that it had in 4.17")
{
    World w;
    const auto c = w.connect();
    CHECK(control(w, c, {"quota", "set", "permissions", "9"}) == "OK");
    CHECK(w.ask(c, MsgType::GetQuota, args({"node-permissions"})) == "9");
    CHECK(control(w, c, {"quota-soft", "set", "permissions", "9"}) == "EINVAL");
}

TEST_CASE("live-update answers how this daemon is updated, and never OK")
{
    World w;
    const auto c = w.connect();
    const std::string text = control(w, c, {"live-update", "-f", "/some/program"});
    CHECK(text.find("xsgit-service update") != std::string::npos);
    CHECK(text.find("--repo") != std::string::npos);
    CHECK(control(w, c, {"live-update"}) == text);
    CHECK(control(w, c, {"live-update", "-s", "-t", "60", "-F"}) == text);
    CHECK(control(w, c, {"help"}).find("\nlive-update     ") != std::string::npos);
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
    CHECK(control(w, c, {"help"}).starts_with("check           \nlog             [on|off|"));
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
