// SPDX-License-Identifier: MIT
// Limits of unprivileged domains: N allows N, what is refused changes nothing, privileged clients have none.
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

/// Domain 5 with a folder of its own, and one limit.
struct Guest {
    World w;
    std::uint64_t dom0 = w.connect(), ring = 0;
    Guest(std::string_view quota, std::string_view value)
    {
        w.introduce(dom0, 5, 69);
        ring = w.last_attached();
        w.write(dom0, "/local/domain/5/d", "");
        w.ask(dom0, MsgType::SetPerms, args({"/local/domain/5/d", "n5"}), 0, "5 1 45");
        CHECK(w.ask(dom0, MsgType::SetQuota, args({"5", quota, value})) == "OK");
        CHECK(w.ask(dom0, MsgType::GetQuota, args({"5", quota})) == value);
    }
    std::string make(const std::string &name, std::uint32_t tx = 0)
    {
        return w.write(ring, "d/" + name, "", tx);
    }
    bool refused(std::string_view limit) const
    {
        return w.out.refusals().size() == 1 && w.out.refusals()[0].limit == limit &&
               w.out.refusals()[0].domid == 5;
    }
    std::string account() const
    {
        const std::string text = w.state.describe();
        const std::size_t at = text.find("owner 5 ");
        return at == text.npos ? "none" : text.substr(at, text.find('\n', at) - at);
    }
};

} // namespace

TEST_CASE("quota nodes")
{
    Guest g("nodes", "4");
    CHECK(g.make("a") == "OK");
    CHECK(g.make("b/c") == "OK"); // two
    const std::string full = g.account();
    CHECK(full == "owner 5 nodes 4 bytes 100");
    CHECK(g.make("e") == "ENOSPC");
    CHECK(g.refused("nodes"));
    CHECK(g.w.out.refusals()[0].value == 4);
    CHECK(g.account() == full);
    CHECK(g.make("a") == "OK"); // exists
    CHECK(g.w.ask(g.ring, MsgType::Rm, args({"d/b"})) == "OK");
    CHECK(g.account() == "owner 5 nodes 2 bytes 50");
    CHECK(g.make("x/y/z") == "ENOSPC");
    CHECK(g.make("x/y") == "OK");
    CHECK(g.w.write(g.dom0, "/local/domain/5/d/more", "") == "OK"); // others are not bound by it
    CHECK(g.make("f") == "ENOSPC");
}

TEST_CASE("quota nodes in transactions")
{
    Guest g("nodes", "3");
    const auto tx = g.w.begin(g.ring);
    CHECK(g.make("a", tx) == "OK");
    CHECK(g.make("b", tx) == "OK");
    CHECK(g.make("c", tx) == "ENOSPC");
    CHECK(g.refused("nodes"));
    CHECK(g.w.ask(g.ring, MsgType::Rm, args({"d/a"}), tx) == "OK");
    CHECK(g.w.end(g.ring, tx) == "ENOMEM"); // as the C daemon: it is doomed
    CHECK(g.account() == "owner 5 nodes 1 bytes 25");

    const auto first = g.w.begin(g.ring), second = g.w.begin(g.ring);
    CHECK(g.make("a/a", first) == "OK");
    CHECK(g.make("b/b", second) == "OK");
    CHECK(g.w.end(g.ring, first) == "OK");
    CHECK(g.w.end(g.ring, second) == "ENOSPC"); // arises only now
    CHECK(g.account() == "owner 5 nodes 3 bytes 75");
    CHECK(g.w.read(g.ring, "d/b") == "ENOENT");
}

TEST_CASE("quota node-size: value, permissions, names of children")
{
    Guest g("node-size", "64"); // 16 + 8 for a permission: 40 are left
    CHECK(g.w.write(g.ring, "d/v", std::string(40, 'x')) == "OK");
    CHECK(g.w.write(g.ring, "d/v", std::string(41, 'x')) == "ENOSPC");
    CHECK(g.refused("node-size"));
    CHECK(g.w.read(g.ring, "d/v") == std::string(40, 'x'));
    CHECK(g.w.write(g.ring, "d/w", std::string(41, 'x')) == "ENOSPC");
    CHECK(g.w.ask(g.ring, MsgType::SetPerms, args({"d/v", "n5", "r6"}), 0, "6 1 46") == "ENOSPC");
    CHECK(g.make(std::string(36, 'n')) == "OK"); // with "v" and two NULs: 40 - 1 more
    CHECK(g.make("z") == "ENOSPC");
    CHECK(g.w.write(g.dom0, "/local/domain/5/d/z", "") == "OK");
    CHECK(g.w.ask(g.ring, MsgType::Rm, args({"d/z"})) == "OK"); // also below an oversized parent (XSA-115)
}

TEST_CASE("quota node-permissions")
{
    Guest g("node-permissions", "3");
    g.make("p");
    CHECK(g.w.ask(g.ring, MsgType::SetPerms, args({"d/p", "n5", "r6", "r7"}), 0, "6 0;7 0") == "OK");
    CHECK(g.w.ask(g.ring, MsgType::SetPerms, args({"d/p", "n5", "r6", "r7", "r8"})) == "ENOSPC");
    CHECK(g.refused("node-permissions"));
}

TEST_CASE("quota path-max does not count the home")
{
    Guest g("path-max", "10");
    CHECK(g.make("12345678") == "OK"); // d/ and these
    CHECK(g.make("123456789") == "EINVAL");
    CHECK(g.w.read(g.ring, "/local/domain/12345/123456789x") == "EACCES");
    CHECK(g.w.read(g.ring, "/local/domain/12345/123456789xy") == "EINVAL");
    CHECK(g.w.read(g.ring, "/local/domain/123456/x") == "EINVAL"); // no domid
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"123456789xy", "t"})) == "EINVAL");
    CHECK(g.w.read(g.dom0, "/123456789xyz") == "ENOENT");
}

TEST_CASE("quota watches and transactions")
{
    Guest g("watches", "2");
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"a", "t"})) == "OK");
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"b", "t"})) == "OK");
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"c", "t"})) == "ENOSPC");
    CHECK(g.refused("watches"));
    CHECK(g.w.ask(g.ring, MsgType::Unwatch, args({"a", "t"})) == "OK");
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"c", "t"})) == "OK");
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"5", "transactions", "2"})) == "OK");
    const auto tx = g.w.begin(g.ring);
    g.w.begin(g.ring);
    CHECK(g.w.ask(g.ring, MsgType::TransactionStart, args({""})) == "ENOSPC");
    CHECK(g.refused("transactions"));
    g.w.end(g.ring, tx, false);
    g.w.begin(g.ring);
}

TEST_CASE("quota transaction-nodes")
{
    Guest g("transaction-nodes", "2");
    const auto tx = g.w.begin(g.ring);
    CHECK(g.make("a", tx) == "OK");
    CHECK(g.w.read(g.ring, "d", tx) == "");
    CHECK(g.w.read(g.ring, "d/a", tx) == "");
    CHECK(g.make("b", tx) == "ENOSPC");
    CHECK(g.refused("transaction-nodes"));
    CHECK(g.w.end(g.ring, tx) == "ENOMEM");
}

TEST_CASE("quota memory counts nodes, watches and logs of transactions")
{
    Guest g("memory", "400");
    CHECK(g.w.write(g.ring, "d/v", std::string(200, 'x')) == "OK");
    CHECK(g.w.write(g.ring, "d/w", std::string(200, 'x')) == "ENOMEM");
    CHECK(g.refused("memory"));
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"a", std::string(200, 't')})) == "ENOMEM");
    CHECK(g.w.ask(g.ring, MsgType::Watch, args({"a", std::string(100, 't')})) == "OK");
    CHECK(g.w.write(g.ring, "d/v", "") == "OK");
    const auto tx = g.w.begin(g.ring);
    CHECK(g.w.write(g.ring, "d/v", std::string(300, 'x'), tx) == "ENOMEM");
    g.w.end(g.ring, tx);
    CHECK(g.w.ask(g.ring, MsgType::Unwatch, args({"a", std::string(100, 't')})) == "OK");
    CHECK(g.w.write(g.ring, "d/v", std::string(300, 'x')) == "OK");
}

TEST_CASE("quota memory holds for requests of a transaction that make nothing larger, too")
{
    Guest g("memory", "5000");
    CHECK(g.w.write(g.ring, "d/v", std::string(200, 'x')) == "OK");
    const auto tx = g.w.begin(g.ring);
    int n = 0;
    while (n < 1000 && g.w.read(g.ring, "d/v", tx) == std::string(200, 'x'))
        ++n;
    CHECK(n > 10);
    CHECK(n < 200);
    CHECK(g.refused("memory"));
    CHECK(g.w.read(g.ring, "d/v", tx) == "ENOMEM");
    CHECK(g.w.end(g.ring, tx) == "ENOMEM");
    CHECK(g.w.read(g.ring, "d/v") == std::string(200, 'x'));
}

TEST_CASE("quota soft-memory is told, at most each ten seconds, and refuses nothing")
{
    Guest g("soft-memory", "300");
    const auto told = [&g](std::string_view value) -> std::string {
        CHECK(g.w.write(g.ring, "d/v", value) == "OK");
        std::string text;
        for (const Refusal &r : g.w.out.refusals()) {
            CHECK(r.domid == 5);
            CHECK(r.limit == "soft-memory");
            CHECK(r.value == 300);
            text += r.kind == Refusal::Kind::Above   ? "above "
                    : r.kind == Refusal::Kind::Below ? "below "
                                                     : "?";
            text += std::to_string(r.used);
        }
        return text;
    };
    const std::string much(400, 'x'), little(10, 'x');
    CHECK(told(little) == "");
    CHECK(told(much) == "above 450"); // the folder has 25, the node too
    CHECK(told(much) == "");
    CHECK(told(little) == ""); // too early
    g.w.seconds += 10;
    CHECK(told(little) == "below 60");
    CHECK(told(much) == "");
    g.w.seconds += 10;
    CHECK(told(much) == "above 450");
    g.w.seconds += 60;
    CHECK(told(much) == ""); // it is known
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"5", "soft-memory", "0"})) == "OK");
    CHECK(g.w.write(g.ring, "d/v", much) == "OK");
    CHECK(g.w.out.refusals().empty()); // no limit any more
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"5", "soft-memory", "300"})) == "OK");
    g.w.seconds += 10;
    CHECK(told(much) == "above 450");
}

TEST_CASE("zero is no limit; limits of later domains")
{
    Guest g("nodes", "0");
    for (int i = 0; i < 60; ++i)
        CHECK(g.make("n" + std::to_string(i)) == "OK");
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"nodes", "2"})) == "OK");
    CHECK(g.w.ask(g.dom0, MsgType::GetQuota, args({"nodes"})) == "2");
    CHECK(g.make("still") == "OK");
    CHECK(g.w.ask(g.dom0, MsgType::GetQuota, args({"6", "nodes"}), 0, "6 1 46") == "2");
    CHECK(g.w.ask(g.dom0, MsgType::GetQuota, args({"7", "nodes"}), 0, "7 0") == "ENOENT");
    CHECK(g.w.ask(g.dom0, MsgType::GetQuota, args({"nodez"})) == "EINVAL");
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"nodes", "4294967295"})) == "EINVAL");
    CHECK(g.w.ask(g.dom0, MsgType::SetQuota, args({"nodes"})) == "EINVAL");
    CHECK(g.w.ask(g.dom0, MsgType::GetQuota, "") ==
          "nodes watches outstanding memory soft-memory transactions transaction-nodes node-permissions "
          "path-max "
          "node-size");
}

TEST_CASE("changes of owner move the account")
{
    Guest g("nodes", "3");
    g.make("a");
    CHECK(g.account() == "owner 5 nodes 2 bytes 50");
    g.w.ask(g.dom0, MsgType::SetPerms, args({"/local/domain/5/d/a", "n0", "b5"}), 0, "5 1 45");
    CHECK(g.account() == "owner 5 nodes 1 bytes 25");
    CHECK(g.w.ask(g.dom0, MsgType::Control, args({"check"})) == "OK");
    CHECK(g.account() == "owner 5 nodes 1 bytes 25");
}
