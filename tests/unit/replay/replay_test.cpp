// SPDX-License-Identifier: MIT
// Sessions played to the engine: transactions, differences, writing them down again.
#include "bisect/replay/record_again.hpp"
#include "bisect/replay/replay.hpp"
#include "support.hpp"
#include "xsgit/session/reader.hpp"

using namespace xsgit::replay;
using namespace xsgit::replay::test;
using namespace std::string_literals;
using xsgit::server::MsgType;

namespace {

Outcome check(const Script &s)
{
    EngineTarget engine(s);
    ReplayOptions options;
    options.check = true;
    return replay(s, engine, options);
}

/// A transaction with a number that the engine will not give.
Said transaction()
{
    Said said;
    said.open(9).request(9, MsgType::TransactionStart, "\0"s).reply(9, MsgType::TransactionStart, "4711\0"s);
    said.request(9, MsgType::Write, "/t\0in"s, 4711).reply(9, MsgType::Write, "OK\0"s, 4711);
    said.request(9, MsgType::TransactionEnd, "T\0"s, 4711).reply(9, MsgType::TransactionEnd, "OK\0"s, 4711);
    return said;
}

} // namespace

TEST_CASE("replay: transactions keep their meaning with other numbers")
{
    Said said = transaction();
    said.request(9, MsgType::Read, "/t\0"s).reply(9, MsgType::Read, "in");
    // ended: nobody's any more, and not hit by the engine's own number
    said.request(9, MsgType::Read, "/t\0"s, 4711).reply(9, MsgType::Error, "ENOENT\0"s, 4711);
    said.request(9, MsgType::Read, "/t\0"s, 1).reply(9, MsgType::Error, "ENOENT\0"s, 1);
    Script s = said.script();
    s.complete = true;
    const Outcome o = check(s);
    CHECK(!o.difference);
    CHECK(o.compared == 6);
}

TEST_CASE("replay: events and replies of one client are in order when the daemon itself has recorded")
{
    const auto session = [](bool event_first, const char *source) {
        Said said;
        said.open(1)
            .request(1, MsgType::Watch, "/a\0t\0"s)
            .reply(1, MsgType::Watch, "OK\0"s)
            .event(1, "/a\0t\0"s);
        if (event_first)
            said.request(1, MsgType::Write, "/a\0x"s).event(1, "/a\0t\0"s).reply(1, MsgType::Write, "OK\0"s);
        else
            said.write(1, "/a", "x").event(1, "/a\0t\0"s);
        Script s = said.script();
        s.meta.source = source;
        s.complete = true;
        return check(s).difference.has_value();
    };
    CHECK(session(true, "tap") != session(false, "tap"));
    CHECK(!session(true, "proxy"));
    CHECK(!session(false, "proxy"));
}

TEST_CASE("replay: a reply that nobody recorded is not missed, and the others find their requests")
{
    const auto session = [](const std::string &last) {
        Said said;
        said.open(1);
        const auto message = [](MsgType type, std::uint32_t req, std::string payload) {
            return xsgit::session::Message{
                1, static_cast<std::uint32_t>(type), req, 0, false, std::move(payload)};
        };
        said.add(xsgit::session::Request{message(MsgType::Write, 1, "/a\0x"s), ""});
        said.add(xsgit::session::Request{message(MsgType::Read, 2, "/none\0"s), ""}); // its reply is lost
        said.add(xsgit::session::Request{message(MsgType::Read, 3, "/a\0"s), ""});
        said.add(xsgit::session::Reply{message(MsgType::Write, 1, "OK\0"s)});
        said.add(xsgit::session::Reply{message(MsgType::Read, 3, last)});
        Script s = said.script();
        s.complete = true;
        return check(s);
    };
    CHECK(!session("x").difference);
    const Outcome wrong = session("y");
    REQUIRE(wrong.difference);
    CHECK(wrong.difference->record == 7);
    CHECK(received_text(*wrong.difference->got) == "READ x");
}

TEST_CASE("replay: behind dropped messages nothing is checked, before them everything")
{
    const auto session = [](bool before) {
        Said said;
        said.open(1).write(1, "/a", "x");
        if (before)
            said.request(1, MsgType::Read, "/a\0"s).reply(1, MsgType::Read, "wrong");
        said.add(xsgit::session::Dropped{3});
        said.request(1, MsgType::Read, "/a\0"s)
            .reply(1, MsgType::Read, "written by a request that is missing");
        return check(said.script()).difference.has_value();
    };
    CHECK(session(true));
    CHECK(!session(false));
}

TEST_CASE("replay: written again and read again it is the same")
{
    Said said = transaction();
    said.open(10, 77).write(10, "/x", "y").close(10).open(10).write(10, "/x", "z");
    Script s = said.script();
    std::string bytes;
    write_session(s, {}, [&](std::string_view part) { bytes += part; });
    xsgit::session::Reader reader(bytes);
    ScriptBuilder builder;
    builder.add({0, reader.meta()}, 1);
    while (const auto r = reader.next())
        builder.add(*r, reader.records());
    CHECK(reader.complete());
    const Script again = std::move(builder).finish();
    REQUIRE(again.steps.size() == s.steps.size());
    CHECK(again.clients.size() == 3);
    CHECK(again.clients[2].conn == 3); // the number was used twice: they are numbered anew
    for (std::size_t i = 0; i < s.steps.size(); ++i) {
        CHECK(again.steps[i].client == s.steps[i].client);
        CHECK(again.steps[i].at_us == s.steps[i].at_us);
        CHECK(again.steps[i].reply.has_value() == s.steps[i].reply.has_value());
    }
}

TEST_CASE("replay: written with the engine's answers, a transaction has the id that its requests name")
{
    const Script s = transaction().script();
    EngineTarget engine(s);
    Answers answers;
    ReplayOptions options;
    options.after = [&](const Step &, const std::vector<Received> &came) { answers.push_back(came); };
    replay(s, engine, options);
    std::string bytes;
    write_session(s, answers, [&](std::string_view part) { bytes += part; });
    xsgit::session::Reader reader(bytes);
    std::string started;
    while (const auto r = reader.next())
        if (const auto *reply = std::get_if<xsgit::session::Reply>(&r->body))
            if (reply->type == static_cast<std::uint32_t>(MsgType::TransactionStart))
                started = reply->payload;
    CHECK(started == "4711\0"s);
}

TEST_CASE("replay: a test case has the engine's transaction numbers and everybody's events")
{
    Said said = transaction();
    said.open(10).request(10, MsgType::Watch, "/t\0t k\0"s).write(9, "/t", "{|}");
    const Script s = said.script();
    EngineTarget engine(s);
    Answers answers;
    ReplayOptions options;
    options.after = [&](const Step &, const std::vector<Received> &came) { answers.push_back(came); };
    replay(s, engine, options);
    CHECK(test_case(s, answers, "title") == "== title\n"
                                            "A TRANSACTION_START |\n  1|\n"
                                            "A@1 WRITE /t|in\n  OK|\n"
                                            "A@1 TRANSACTION_END T|\n  OK|\n"
                                            "B WATCH /t|t\\sk|\n  OK|\n  * /t|t\\sk|\n"
                                            "A WRITE /t|\\x7b\\|}\n  OK|\n"
                                            "B ?\n  * /t|t\\sk|\n");
}
