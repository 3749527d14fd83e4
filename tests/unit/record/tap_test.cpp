// SPDX-License-Identifier: MIT
// A daemon's events and what they put out, as records.
#include "bisect/record/tap/connect_facts.hpp"
#include "bisect/record/tap/tap_writer.hpp"
#include "server/engine/wire.hpp"
#include "tests/unit/daemon/temp_dir.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <vector>

using namespace xsgit;
using namespace xsgit::record;
using namespace std::string_literals;
using server::MsgType;

namespace {

constexpr std::int64_t kBegin = 5'000'000;

/// A state that is stepped, and a tap of it.
class Tapped {
public:
    explicit Tapped(FileOptions o = {}, std::vector<std::string> redact = {}) : redaction(std::move(redact))
    {
        o.path = dir / "s";
        o.rotate_by_caller = true;
        step(EventKind::Start, 0, "", "");
        file = std::make_unique<SessionFile>(o, session::Meta{kBegin, "tap", ""});
        writer = std::make_unique<TapWriter>(*file, redaction, kBegin);
    }
    void step(EventKind kind, std::uint64_t conn, std::string_view facts, std::string_view wire)
    {
        Event e;
        e.number = state.event_number() + 1;
        e.kind = kind;
        e.conn = conn;
        e.wall_us = kBegin + static_cast<std::int64_t>(e.number);
        e.facts = facts;
        e.wire = wire;
        out.clear();
        state.step(e, out);
        if (!taps)
            return;
        writer->event(e, out);
        writer->rotate(state);
    }
    void ask(std::uint64_t conn, MsgType type, const std::string &payload, std::string_view facts = {})
    {
        std::string wire(kHeaderSize, '\0');
        server::write_header(
            {static_cast<std::uint32_t>(type), 7, 0, static_cast<std::uint32_t>(payload.size())},
            wire.data());
        step(EventKind::Request, conn, facts, wire + payload);
    }
    void begin(bool fresh)
    {
        writer->begin(state, fresh);
        taps = true;
    }
    std::vector<std::string> lines(const std::string &name = "s")
    {
        file->flush();
        std::ifstream in(dir / name, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        session::Reader reader(bytes);
        std::vector<std::string> all;
        while (const auto r = reader.next())
            all.push_back(session::line(*r).substr(sizeof "0.000000"));
        return all;
    }

    const TempDir dir;
    const Redaction redaction;
    server::State state;
    server::Outputs out;
    std::unique_ptr<SessionFile> file;
    std::unique_ptr<TapWriter> writer;
    bool taps = false;
};

using Lines = std::vector<std::string>;

/// As doctest can print it.
std::string text(const Lines &lines)
{
    std::string all;
    for (const std::string &line : lines)
        all += line + "\n";
    return all;
}

} // namespace

TEST_CASE("a store that is there is written down first, with who is connected and what he watches")
{
    Tapped t({}, {"/tool/*"});
    t.step(EventKind::Connect, 1, "socket 0 812 0 xl list", "");
    t.step(EventKind::Connect, 2, "ring 5 ab 1", "");
    t.ask(1, MsgType::Write, "/tool/a\0secret"s);
    t.ask(1, MsgType::Watch, "/local\0token\0"s);
    t.ask(2, MsgType::Watch, "device\0mine\0"s);
    t.begin(false);
    t.ask(1, MsgType::Read, "/tool/a\0"s);
    t.ask(1, MsgType::Write, "/local/domain/5/device\0on"s);
    t.step(EventKind::Close, 1, "", "");
    CHECK(
        text(t.lines()) ==
        text({"start 6 nodes", "node / = \"\" (n0)", "node /tool = \"\" (n0)",
              "node /tool/a = \"******\" (n0)", "node /tool/xenstored = \"\" (n0)",
              "node @introduceDomain = \"\" (n0)", "node @releaseDomain = \"\" (n0,r32757)",
              "c1 was-open socket d0 pid 812 xl list", "c2 was-open ring d5", "c1 was-watching /local|token",
              "c2 was-watching device|mine", "domains 5 ab same", "c1 request 7 READ /tool/a|",
              "c1 reply 7 READ (redacted) ******", "c1 request 7 WRITE /local/domain/5/device|on",
              "c1 event /local/domain/5/device|token|", "c1 reply 7 WRITE OK|", "c1 close"}));
}

TEST_CASE("a new store needs no words; rings are opened and closed behind the requests that do it")
{
    Tapped t;
    t.begin(true);
    t.step(EventKind::Connect, 1, "socket 0 812 3 xl", "");
    t.ask(1, MsgType::Introduce, "5\0001\0001\0"s, "5 1 ab;attach 3");
    t.ask(1, MsgType::Release, "5\0"s);
    const Lines lines = t.lines();
    REQUIRE(lines.size() == 8);
    CHECK(text({lines.begin() + 1, lines.end()}) ==
          text({"c1 open socket d0 pid 812 uid 3 xl", "c1 request 7 INTRODUCE 5|1|1|  (5 1 ab;attach 3)",
                "c2 open ring d5", "c1 reply 7 INTRODUCE OK|", "c1 request 7 RELEASE 5|", "c2 close",
                "c1 reply 7 RELEASE OK|"}));
    CHECK(t.writer->requests() == 2);
}

TEST_CASE("each file of a row begins with the store as it is, between two events")
{
    FileOptions o;
    o.rotate_bytes = 4096;
    Tapped t(o);
    t.step(EventKind::Connect, 1, "socket 0 812 3 xl", "");
    t.begin(false);
    for (int i = 0; i < 3; ++i)
        t.ask(1, MsgType::Write, "/a\0"s + std::string(1400, 'x'));
    t.ask(1, MsgType::Read, "/a\0"s);
    const Lines first = t.lines("s.1"), second = t.lines("s.2");
    CHECK(first.back() == "end continued in s.2");
    CHECK(first[first.size() - 2] == "c1 reply 7 WRITE OK|");
    CHECK(second[0] == "note goes on from s.1");
    CHECK(second[1] == "start 6 nodes");
    CHECK(second[8] == "c1 was-open socket d0 pid 812 xl");
    CHECK(second[9] == "c1 request 7 READ /a|");
}

TEST_CASE("after a gap those are connected who are")
{
    Tapped t;
    t.step(EventKind::Connect, 1, "socket 0 1 0 old", "");
    t.begin(true);
    t.taps = false;
    t.step(EventKind::Close, 1, "", "");
    t.step(EventKind::Connect, 2, "socket 0 2 0 new", "");
    t.writer->gap(t.state, 2);
    const Lines lines = t.lines();
    CHECK(text({lines.end() - 4, lines.end()}) ==
          text({"dropped 2", "note the daemon was faster than this could read: events 3 to 4 are missing",
                "c1 close", "c2 open socket d0 pid 2 new"}));
}

TEST_CASE("words of a Connect event that are none")
{
    Event e;
    e.conn = 3;
    for (const char *facts : {"", "socket", "socket x y z", "ring", "ring x"}) {
        e.facts = facts;
        CHECK(opened_by(e).conn == 3);
        CHECK(!opened_by(e).pid);
    }
}
