// SPDX-License-Identifier: MIT
// Domains: introduced, stopped, resumed, released, dead; what becomes of what they own and what names them.
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

using Strings = std::vector<std::string>;

std::string set_perms(World &w, std::uint64_t c, std::string_view path,
                      std::initializer_list<std::string_view> list, std::string_view facts)
{
    std::string payload = args({path});
    payload += args(list);
    return w.ask(c, MsgType::SetPerms, payload, 0, facts);
}
std::string perms(World &w, std::uint64_t c, std::string_view path)
{
    std::string text = w.ask(c, MsgType::GetPerms, args({path}));
    for (char &ch : text)
        if (ch == '\0')
            ch = ',';
    return text;
}
std::string introduced(World &w, std::uint64_t c, std::string_view domid)
{
    return w.ask(c, MsgType::IsDomainIntroduced, args({domid}));
}

} // namespace

TEST_CASE("INTRODUCE and RELEASE, with their events and orders")
{
    World w;
    const auto a = w.connect();
    w.ask(a, MsgType::Watch, args({"@introduceDomain", "in"}));
    w.ask(a, MsgType::Watch, args({"@releaseDomain", "out"}));
    CHECK(introduced(w, a, "5") == "F");
    CHECK(introduced(w, a, "0") == "T");
    CHECK(introduced(w, a, "32752") == "T"); // DOMID_SELF
    CHECK(introduced(w, a, "x") == "EINVAL");
    CHECK(w.introduce(a, 5) == "OK");
    CHECK(w.events == Strings{"1:@introduceDomain"});
    REQUIRE(w.out.orders().size() == 1);
    CHECK(w.out.orders()[0].kind == Order::Kind::Attach);
    CHECK(w.out.orders()[0].domid == 5);
    CHECK(w.out.orders()[0].features == 14);
    const auto ring = w.last_attached();
    CHECK(introduced(w, a, "5") == "T");
    CHECK(w.write(ring, "mine", "x") == "EACCES");

    w.ask(ring, MsgType::Watch, args({"mine", "t"}));
    CHECK(w.introduce(a, 5) == "OK"); // again: a reset, nobody is told
    CHECK(w.events.empty());
    REQUIRE(w.out.orders().size() == 2);
    CHECK(w.out.orders()[0].kind == Order::Kind::Detach);
    CHECK(w.out.orders()[0].conn == ring);
    CHECK(w.last_attached() != ring);

    CHECK(w.ask(a, MsgType::Release, args({"5"})) == "OK");
    CHECK(w.events == Strings{"1:@releaseDomain"});
    CHECK(w.out.orders().size() == 1);
    CHECK(introduced(w, a, "5") == "F");
    CHECK(w.ask(a, MsgType::Release, args({"5"})) == "ENOENT");
    CHECK(w.ask(a, MsgType::Release, args({"0"})) == "EINVAL");
    CHECK(w.ask(a, MsgType::Introduce, args({"5", "1", "0"}), 0, "5 1 9;attach 9") == "EINVAL");
    CHECK(w.ask(a, MsgType::Introduce, args({"5", "1"}), 0, "5 1 9;attach 9") == "EINVAL");
    CHECK(w.ask(a, MsgType::Introduce, args({"5", "1", "3"}), 0, "5 0") == "EINVAL");
    CHECK(w.ask(a, MsgType::Introduce, args({"5", "1", "3"}), 0, "5 1 9;failed EBUSY") == "EBUSY");
    CHECK(introduced(w, a, "5") == "F");
}

TEST_CASE("only the control domain may do that")
{
    World w;
    const auto d5 = w.connect(5);
    for (const MsgType t :
         {MsgType::Control, MsgType::Introduce, MsgType::Release, MsgType::IsDomainIntroduced,
          MsgType::Resume, MsgType::SetTarget, MsgType::SetFeature, MsgType::GetQuota, MsgType::SetQuota})
        CHECK(w.ask(d5, t, args({"5"})) == "EACCES");
    CHECK(w.ask(d5, MsgType::GetFeature, args({"5"})) == "EACCES");
    CHECK(w.ask(d5, MsgType::GetFeature, "") == "14");
    CHECK(w.ask(d5, MsgType::GetDomainPath, args({"7"})) == "/local/domain/7");
    for (const std::uint32_t none : {15u, 16u, 20u, 27u, 65535u})
        CHECK(w.ask(d5, static_cast<MsgType>(none), args({"x"})) == "ENOSYS");
}

TEST_CASE("@releaseDomain: once for a shutdown, again after RESUME, at death; forms with depth")
{
    World w;
    const auto a = w.connect(), b = w.connect();
    w.ask(a, MsgType::Watch, args({"@releaseDomain", "bare"}));
    w.ask(b, MsgType::Watch, args({"@releaseDomain", "deep", "1"}));
    w.ask(b, MsgType::Watch, args({"@releaseDomain", "only itself", "0"}));
    w.ask(b, MsgType::Watch, args({"@releaseDomain/6", "six"}));
    w.introduce(a, 5);
    w.introduce(a, 6);
    w.news("5 69 shutdown;6 6a shutdown");
    // Not the ids that they were introduced with: other domains, the old ones are dead.
    CHECK(introduced(w, a, "5") == "F");
    w.introduce(a, 5, 69);
    w.introduce(a, 6, 70);
    w.news("5 69 shutdown;6 70 shutdown");
    CHECK(w.events ==
          Strings{"2:@releaseDomain/5", "2:@releaseDomain/6", "2:@releaseDomain/6", "1:@releaseDomain"});
    w.news("5 69 shutdown;6 70 shutdown");
    CHECK(w.events.empty());
    CHECK(w.ask(a, MsgType::Resume, args({"5"})) == "OK");
    CHECK(w.ask(a, MsgType::Resume, args({"0"})) == "EINVAL");
    CHECK(w.ask(a, MsgType::Resume, args({"9"})) == "ENOENT");
    w.news("5 69 shutdown;6 70 shutdown");
    CHECK(w.events == Strings{"2:@releaseDomain/5", "1:@releaseDomain"});
    w.news("5 69 dead;6 70 dead;7 71 dead");
    CHECK(w.events == Strings{"1:@releaseDomain", "2:@releaseDomain/5", "1:@releaseDomain",
                              "2:@releaseDomain/6", "2:@releaseDomain/6"});
}

TEST_CASE("special events go to those who may read the special node")
{
    World w;
    const auto a = w.connect(), d5 = w.connect(5);
    w.ask(d5, MsgType::Watch, args({"@introduceDomain", "i"}));
    w.ask(d5, MsgType::Watch, args({"@releaseDomain", "r"}));
    w.introduce(a, 7);
    CHECK(w.events.empty());
    w.ask(a, MsgType::Release, args({"7"}));
    CHECK(w.events == Strings{"2:@releaseDomain"}); // 4.22: for everybody
    CHECK(perms(w, a, "@introduceDomain") == "n0");
    CHECK(set_perms(w, a, "@introduceDomain", {"n0", "r5"}, "5 1 105") == "OK");
    w.introduce(a, 7);
    CHECK(w.events == Strings{"2:@introduceDomain"});
}

TEST_CASE("death takes nodes and permissions; a later domain of that number has neither")
{
    World w;
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    const auto ring = w.last_attached();
    w.write(a, "/local/domain/5/data", "");
    set_perms(w, a, "/local/domain/5/data", {"n5"}, "5 1 69");
    CHECK(w.write(ring, "data/deep/leaf", "x") == "OK");
    w.write(a, "/shared/a", "x");
    set_perms(w, a, "/shared/a", {"n0", "r5", "b6"}, "5 1 69;6 1 6a");
    w.write(a, "/shared/b/below", "x");
    set_perms(w, a, "/shared/b", {"r5", "w6"}, "5 1 69;6 1 6a");
    set_perms(w, a, "@releaseDomain", {"n0", "r5"}, "5 1 69");
    w.ask(a, MsgType::Watch, args({"/local/domain/5/data/deep/leaf", "leaf"}));
    w.ask(a, MsgType::Watch, args({"/shared", "s"}));
    w.ask(a, MsgType::Watch, args({"@releaseDomain", "r"}));
    w.ask(ring, MsgType::Watch, args({"/shared", "own"}));
    w.news("5 69 dead");
    CHECK(w.events == Strings{"1:/local/domain/5/data/deep/leaf", "1:/shared/b", "1:@releaseDomain"});
    CHECK(w.read(a, "/local/domain/5/data") == "ENOENT");
    CHECK(perms(w, a, "/local/domain/5") == "n0");
    CHECK(perms(w, a, "/shared/a") == "n0,b6");
    CHECK(w.read(a, "/shared/b") == "ENOENT");
    CHECK(perms(w, a, "@releaseDomain") == "n0");
    w.introduce(a, 5, 70);
    CHECK(w.read(w.last_attached(), "/shared/a") == "EACCES");
    CHECK(w.ask(a, MsgType::Control, args({"quota", "5"})).find("nodes            :        0") !=
          std::string::npos);
}

TEST_CASE("orphans are kept when asked for")
{
    World w;
    Event e;
    e.kind = EventKind::Settings;
    e.facts = "keep-orphans 1";
    w.run(e);
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    w.write(a, "/g/x/y", "v");
    for (const char *path : {"/g/x/y", "/g/x", "/g"})
        set_perms(w, a, path, {"b5", "r6"}, "5 1 69;6 1 6a");
    w.news("5 69 dead");
    for (const char *path : {"/g/x/y", "/g/x", "/g"})
        CHECK(perms(w, a, path) == "b0,r6");
    CHECK(w.state.describe().find("owner 5") == std::string::npos);
}

TEST_CASE("SET_TARGET lends rights until the target dies")
{
    World w;
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    w.introduce(a, 6, 70);
    const auto stub = w.last_attached();
    w.write(a, "/local/domain/5/x", "v");
    set_perms(w, a, "/local/domain/5/x", {"n5"}, "5 1 69");
    CHECK(w.read(stub, "/local/domain/5/x") == "EACCES");
    CHECK(w.ask(a, MsgType::SetTarget, args({"6", "9"})) == "ENOENT");
    CHECK(w.ask(a, MsgType::SetTarget, args({"6"})) == "EINVAL");
    CHECK(w.ask(a, MsgType::SetTarget, args({"6", "5"})) == "OK");
    CHECK(w.read(stub, "/local/domain/5/x") == "v");
    w.news("5 69 dead");
    w.write(a, "/local/domain/5/x", "v");
    w.introduce(a, 5, 71);
    set_perms(w, a, "/local/domain/5/x", {"n5"}, "5 1 71");
    CHECK(w.read(stub, "/local/domain/5/x") == "EACCES");
}

TEST_CASE("permissions for every domain need the feature")
{
    World w;
    const auto a = w.connect();
    CHECK(w.ask(a, MsgType::SetFeature, args({"5", "6"}), 0, "5 1 69") == "OK");
    CHECK(w.ask(a, MsgType::SetFeature, args({"5", "1"}), 0, "5 1 69") == "EINVAL");
    CHECK(w.ask(a, MsgType::SetFeature, args({"8", "6"}), 0, "8 0") == "ENOENT");
    CHECK(w.ask(a, MsgType::SetFeature, args({"5"}), 0, "5 1 69") == "EINVAL");
    CHECK(w.ask(a, MsgType::GetFeature, args({"5"})) == "6");
    w.introduce(a, 5, 69);
    const auto ring = w.last_attached();
    CHECK(w.ask(a, MsgType::SetFeature, args({"5", "14"})) == "EBUSY");
    w.write(a, "/x", "v");
    set_perms(w, a, "/x", {"n5"}, "5 1 69");
    CHECK(set_perms(w, ring, "/x", {"n5", "r32757"}, "") == "OK");
    w.introduce(a, 6, 70);
    const auto other = w.last_attached();
    CHECK(w.read(other, "/x") == "EACCES"); // stale
    CHECK(set_perms(w, a, "/x", {"n5", "r32757"}, "5 1 69") == "OK");
    CHECK(w.read(other, "/x") == "v");
    CHECK(set_perms(w, a, "/x", {"n32757"}, "") == "EINVAL"); // nobody may own for everybody
}

TEST_CASE("WATCH with depth needs the feature")
{
    World w;
    const auto a = w.connect();
    w.ask(a, MsgType::SetFeature, args({"5", "2"}), 0, "5 1 69");
    w.introduce(a, 5, 69);
    CHECK(w.ask(w.last_attached(), MsgType::Watch, args({"/x", "t", "1"})) == "EINVAL");
    w.introduce(a, 6, 70);
    CHECK(w.ask(w.last_attached(), MsgType::Watch, args({"/x", "t", "1"})) == "OK");
}

TEST_CASE("an ignored ring stays ignored when it is introduced again, until RELEASE")
{
    World w;
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    const auto ring = w.last_attached();
    Event e;
    e.kind = EventKind::Ignore;
    e.conn = ring;
    w.run(e);
    const auto ignored = [&w] {
        const auto all = w.state.connections();
        return all.back().domid == 5 && all.back().ignored;
    };
    CHECK(ignored());
    const auto seq = w.state.seq();
    CHECK(w.introduce(a, 5, 69) == "OK");
    CHECK(w.out.orders().empty());
    CHECK(w.last_attached() == ring);
    CHECK(ignored());
    CHECK(w.state.seq() == seq);
    CHECK(w.ask(a, MsgType::Introduce, args({"5", "1", "3"}), 0, "5 1 45;failed EINVAL") == "EINVAL");
    CHECK(w.ask(a, MsgType::Release, args({"5"})) == "OK");
    CHECK(w.introduce(a, 5, 69) == "OK");
    CHECK(w.last_attached() != ring);
    CHECK(!ignored());
}

TEST_CASE("an ignored ring keeps its domain")
{
    World w;
    const auto a = w.connect();
    w.introduce(a, 5, 69);
    const auto ring = w.last_attached();
    w.ask(ring, MsgType::Watch, args({"x", "t"}));
    w.begin(ring);
    Event e;
    e.kind = EventKind::Ignore;
    e.conn = ring;
    w.run(e);
    w.write(a, "/local/domain/5/x", "");
    CHECK(w.events.empty());
    CHECK(introduced(w, a, "5") == "T");
    w.ask(a, MsgType::Watch, args({"@releaseDomain", "r"}));
    w.news("5 69 dead");
    CHECK(w.events == Strings{"1:@releaseDomain"});
}
