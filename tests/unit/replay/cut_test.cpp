// SPDX-License-Identifier: MIT
// The begin of a session is a session.
#include "bisect/replay/history.hpp"
#include "bisect/replay/record_again.hpp"
#include "bisect/replay/replay.hpp"
#include "support.hpp"

using namespace xsgit::replay;
using namespace xsgit::replay::test;
using namespace std::string_literals;
using xsgit::server::MsgType;

namespace {

/// Steps at 1, 2, 5, 7 ms …
Script two_clients()
{
    Said said;
    said.open(1).write(1, "/a", "1").write(1, "/a", "2").open(2).write(2, "/b", "3").close(2);
    return said.script();
}

} // namespace

TEST_CASE("cut: by requests, and by time")
{
    const Script whole = two_clients();
    CHECK(cut(whole, {}).steps.size() == whole.steps.size());
    CHECK(!cut(whole, {}).cut);
    Limit limit;
    limit.requests = 2;
    const Script two = cut(whole, limit);
    CHECK(two.cut);
    CHECK(asked(two) == std::vector<std::string>{"1:/a|1", "1:/a|2"});
    limit = {};
    limit.at_us = whole.steps[1].at_us;
    CHECK(asked(cut(whole, limit)) == std::vector<std::string>{"1:/a|1"});
    limit.requests = 0;
    CHECK(asked(cut(whole, limit)).empty());
}

TEST_CASE("cut: clients that come later are none, and what they received neither")
{
    const Script s = first_steps(two_clients(), 3);
    CHECK(s.clients.size() == 1);
    CHECK(s.received.size() == 2);
    CHECK(s.received_records.size() == 2);
    CHECK(s.known_until == 2);
}

TEST_CASE("cut: what the steps behind it cause is not missed when the rest is checked")
{
    Said said;
    said.open(1).write(1, "/a", "1").write(1, "/a", "2").close(1);
    Script s = said.script();
    s.complete = true;
    Limit limit;
    limit.requests = 1;
    s = cut(std::move(s), limit);
    EngineTarget engine(s);
    ReplayOptions options;
    options.check = true;
    CHECK(!replay(s, engine, options).difference);
}

TEST_CASE("history: the first line in which the nodes differ")
{
    CHECK(differing_line("/ = a\n/b = x\n\nrest", "/ = a\n/b = y\n\nrest") ==
          "the commit: /b = x\nnow:        /b = y");
    CHECK(differing_line("/ = a\n\nrest", "/ = a\n/b = y\n\nrest") == "the commit: \nnow:        /b = y");
    CHECK(differing_line("/ = a\n\nx", "/ = a\n\ny") == "in what the text of its nodes does not show");
    CHECK(differing_line("/ = a", "/ = a") == "in what the text of its nodes does not show");
}
