// SPDX-License-Identifier: MIT
// Who waited for whom, with nothing that follows from the rest.
#include "bisect/replay/process_replies.hpp"
#include "support.hpp"

using namespace xsgit::replay;
using namespace xsgit::replay::test;
using xsgit::server::MsgType;
using Steps = std::vector<std::size_t>;

TEST_CASE("process replies: the reply to a request stands for all that was known when it was sent")
{
    ProcessReplies p;
    p.answered(1, 10, p.now());
    p.answered(2, 20, p.now());
    CHECK(p.since(0, 3) == Steps{20});
    const auto early = p.now();
    p.answered(3, 30, p.now());
    p.answered(4, 40, early); // sent before client 3 was answered
    CHECK(p.since(0, 5) == Steps{30, 40});
    CHECK(p.since(0, 4) == Steps{30});
    CHECK(p.since(p.now(), 5).empty());
    p.answered(5, 50, p.now());
    CHECK(p.since(0, 6) == Steps{50});
}

TEST_CASE("process replies: requests that one connection had sent at once have one that stands for them")
{
    ProcessReplies p;
    for (std::size_t step = 0; step < 100; ++step)
        p.answered(1, step, 0);
    CHECK(p.since(0, 2) == Steps{99});
    CHECK(p.since(0, 1).empty());
}

TEST_CASE("process replies: connections that are answered in turn wait for one other at most")
{
    Said said;
    for (std::uint64_t conn = 1; conn <= 50; ++conn)
        said.open(conn, 7);
    for (std::uint64_t n = 0; n < 200; ++n)
        said.write(1 + n % 50, "n", "");
    for (std::uint64_t conn = 1; conn <= 50; ++conn)
        said.request(conn, MsgType::Write, "n");
    for (const Step &step : said.script().steps)
        CHECK(step.after.size() <= 1);
}
