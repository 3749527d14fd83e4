// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;
using Strings = std::vector<std::string>;

TEST_CASE("write, read, directory, rm")
{
    World w;
    const auto c = w.connect();
    CHECK(w.read(c, "/a") == "ENOENT");
    CHECK(w.write(c, "/a/b", "v") == "OK");
    CHECK(w.read(c, "/a/b") == "v");
    CHECK(w.read(c, "/a") == "");
    CHECK(w.ask(c, MsgType::Directory, args({"/"})) == std::string("a\0tool", 6));
    CHECK(w.ask(c, MsgType::Rm, args({"/a"})) == "OK");
    CHECK(w.ask(c, MsgType::Rm, args({"/a"})) == "OK");
    CHECK(w.ask(c, MsgType::Rm, args({"/a/b"})) == "ENOENT");
    CHECK(w.ask(c, MsgType::Rm, args({"/"})) == "EINVAL");
    CHECK(w.write(c, "rel", "1") == "OK");
    CHECK(w.read(c, "/local/domain/0/rel") == "1");
}

TEST_CASE("argument rules")
{
    World w;
    const auto c = w.connect();
    CHECK(w.ask(c, MsgType::Read, "/tool") == "EINVAL");                    // no NUL
    CHECK(w.ask(c, MsgType::Read, std::string("/tool\0x", 7)) == "EINVAL"); // bytes behind it
    CHECK(w.ask(c, MsgType::Read, "") == "EINVAL");
    CHECK(w.ask(c, MsgType::Write, "/a") == "EINVAL");
    CHECK(w.ask(c, MsgType::Read, args({"@introduceDomain"})) == "EINVAL");
    CHECK(w.ask(c, MsgType::GetPerms, args({"@introduceDomain"})) == "n0");
    CHECK(w.ask(c, MsgType::WatchEvent, args({"/a"})) == "ENOSYS");
    CHECK(w.ask(c, static_cast<MsgType>(65535), args({"/a"})) == "ENOSYS");
    CHECK(w.ask(c, MsgType::Read, args({"/tool"}), 7) == "ENOENT");   // no such transaction
    CHECK(w.ask(c, MsgType::Watch, args({"/tool", "t"}), 7) == "OK"); // ignores it
    CHECK(w.ask(c, MsgType::GetDomainPath, args({"12"})) == "/local/domain/12");
    CHECK(w.ask(c, MsgType::GetDomainPath, args({"65536"})) == "EINVAL");
    CHECK(w.ask(c, MsgType::GetDomainPath, args({"x"})) == "EINVAL");
}

TEST_CASE("permissions of an unprivileged ring")
{
    World w;
    const auto d0 = w.connect();
    const auto d5 = w.connect(5);
    w.write(d0, "/local/domain/5/data", "x");
    CHECK(w.read(d5, "data") == "EACCES");
    CHECK(w.read(d5, "none") == "EACCES"); // missing and forbidden look the same
    CHECK(w.ask(d0, MsgType::SetPerms, args({"/local/domain/5/data", "n5", "r7"}), 0, "5 1;7 0") == "OK");
    CHECK(w.ask(d0, MsgType::GetPerms, args({"/local/domain/5/data"})) == std::string("n5\0r7", 5));
    CHECK(w.read(d5, "data") == "x");
    CHECK(w.write(d5, "data/sub/leaf", "y") == "OK");
    CHECK(w.ask(d5, MsgType::GetPerms, args({"data/sub"})) == std::string("n5\0r7", 5));
    CHECK(w.ask(d5, MsgType::SetPerms, args({"data", "n7"}), 0, "7 1") == "EPERM");
    CHECK(w.ask(d0, MsgType::SetPerms, args({"/tool", "n9"}), 0, "9 0") == "ENOENT");
    const auto d7 = w.connect(7);
    CHECK(w.read(d7, "/local/domain/5/data") == "EACCES"); // its entry is stale
    CHECK(w.state
              .needs([&] {
                  Event e;
                  e.conn = d0;
                  static std::string wire;
                  const std::string payload = args({"/a", "n5", "r0", "r5", "w8"});
                  wire.assign(kHeaderSize, '\0');
                  write_header({14, 0, 0, static_cast<std::uint32_t>(payload.size())}, wire.data());
                  wire += payload;
                  e.wire = wire;
                  return e;
              }())
              .domids == std::vector<std::uint32_t>{5, 8});
}

TEST_CASE("DIRECTORY_PART walks a list that is too long for one reply")
{
    World w;
    const auto c = w.connect();
    Strings want;
    for (int i = 0; i < 2000; ++i) {
        want.push_back(std::to_string(100000 + i));
        w.write(c, "/many/" + want.back(), "");
    }
    CHECK(w.ask(c, MsgType::Directory, args({"/many"})) == "E2BIG");
    Strings got;
    std::string list, generation;
    for (int round = 0; round < 100; ++round) {
        const auto m = w.send(c, MsgType::DirectoryPart, args({"/many", std::to_string(list.size())}));
        REQUIRE(m.size() == 1);
        CHECK(m[0].payload.size() <= kPayloadMax);
        const std::size_t nul = m[0].payload.find('\0');
        if (generation.empty())
            generation = m[0].payload.substr(0, nul);
        CHECK(m[0].payload.substr(0, nul) == generation);
        const std::string part = m[0].payload.substr(nul + 1);
        if (part.size() >= 2 && part[part.size() - 2] == '\0') {
            list += part.substr(0, part.size() - 1);
            break;
        }
        list += part;
    }
    for (const auto s : arguments(list, 5000))
        got.emplace_back(s);
    CHECK(got == want);
}

TEST_CASE("watches: first event, order, removal, relative paths")
{
    World w;
    const auto a = w.connect(), b = w.connect();
    CHECK(w.ask(a, MsgType::Watch, args({"/x", "t"})) == "OK");
    CHECK(w.events == Strings{"1:/x"});
    CHECK(w.ask(a, MsgType::Watch, args({"/x", "t"})) == "EEXIST");
    CHECK(w.ask(a, MsgType::Watch, args({"/x", "t", "x", "y"})) == "EINVAL");
    w.ask(b, MsgType::Watch, args({"/", "root"}));
    w.ask(b, MsgType::Watch, args({"/x/y/z", "deep"}));
    w.ask(b, MsgType::Watch, args({"/x/absent", "no"}));
    w.ask(a, MsgType::Watch, args({"dev", "rel"}));
    w.write(a, "/x/y/z", "1");
    CHECK(w.events == Strings{"1:/x/y/z", "2:/x/y/z", "2:/x/y/z"});
    w.ask(a, MsgType::Rm, args({"/x"}));
    CHECK(w.events == Strings{"2:/x/y/z", "1:/x", "2:/x"});
    w.write(b, "/local/domain/0/dev/1", "");
    CHECK(w.events == Strings{"1:dev/1", "2:/local/domain/0/dev/1"});
    CHECK(w.ask(a, MsgType::Unwatch, args({"/local/domain/0/dev", "rel"})) == "OK");
    CHECK(w.ask(a, MsgType::Unwatch, args({"dev", "rel"})) == "ENOENT");
    w.ask(a, MsgType::Mkdir, args({"/x/y"}));
    CHECK(w.events == Strings{"1:/x/y", "2:/x/y"});
    w.ask(a, MsgType::Mkdir, args({"/x/y"})); // exists: nothing
    CHECK(w.events.empty());
    w.close(b);
    w.ask(a, MsgType::ResetWatches, args({""}));
    w.write(a, "/x/y", "");
    CHECK(w.events.empty());
}

TEST_CASE("watch depth")
{
    World w;
    const auto a = w.connect();
    w.ask(a, MsgType::Watch, args({"/p", "t", "1"}));
    w.write(a, "/p/q/r", "");
    CHECK(w.events.empty());
    w.write(a, "/p/q", "");
    CHECK(w.events == Strings{"1:/p/q"});
    CHECK(w.ask(a, MsgType::Watch, args({"/p", "u", "-1"})) == "EINVAL");
}
