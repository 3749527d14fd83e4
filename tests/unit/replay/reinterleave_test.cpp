// SPDX-License-Identifier: MIT
// Other orders of a session: all that are legal can come, none that is not.
#include "bisect/replay/replay.hpp"
#include "support.hpp"

#include <algorithm>
#include <set>

using namespace xsgit::replay;
using namespace xsgit::replay::test;
using xsgit::server::MsgType;

namespace {

std::set<std::vector<std::string>> orders(const Script &s)
{
    std::set<std::vector<std::string>> all;
    for (std::uint64_t seed = 0; seed < 400; ++seed)
        all.insert(asked(reinterleave(s, seed)));
    return all;
}

} // namespace

TEST_CASE("reinterleave: two connections with two requests have six orders")
{
    const Script s = Said()
                         .open(1)
                         .open(2)
                         .write(1, "a", "")
                         .write(1, "b", "")
                         .write(2, "c", "")
                         .write(2, "d", "")
                         .script();
    const auto all = orders(s);
    CHECK(all.size() == 6);
    for (const auto &order : all) {
        CHECK(std::find(order.begin(), order.end(), "1:a|") < std::find(order.begin(), order.end(), "1:b|"));
        CHECK(std::find(order.begin(), order.end(), "2:c|") < std::find(order.begin(), order.end(), "2:d|"));
    }
    CHECK(asked(reinterleave(s, 5)) == asked(reinterleave(s, 5)));
}

TEST_CASE("reinterleave: a process that had its reply waited for it, on whichever connection")
{
    CHECK(orders(Said().open(1, 7).open(2, 7).write(1, "a", "").write(2, "b", "").script()).size() == 1);
    // of another process, or of one that had not yet got its reply: both orders
    CHECK(orders(Said().open(1, 7).open(2, 8).write(1, "a", "").write(2, "b", "").script()).size() == 2);
    Said early;
    early.open(1, 7).open(2, 7).request(1, MsgType::Write, "a").request(2, MsgType::Write, "b");
    CHECK(orders(early.script()).size() == 2);
}

TEST_CASE("reinterleave: news of domains stay between what was before and behind them")
{
    Said said;
    said.open(1).open(2).write(1, "a", "").write(2, "b", "");
    said.add(xsgit::session::Domains{"5 1 dead"});
    said.write(1, "c", "").write(2, "d", "");
    for (const auto &order : orders(said.script()))
        CHECK(std::set<std::string>{order[0], order[1]} == std::set<std::string>{"1:a|", "2:b|"});
}

TEST_CASE("reinterleave: steps, clients and what waits for what stay consistent")
{
    Said said;
    for (std::uint64_t conn = 1; conn <= 5; ++conn)
        said.open(conn, conn % 2);
    for (std::uint64_t n = 0; n < 100; ++n)
        said.write(1 + n % 5, "n", std::to_string(n));
    said.close(3).open(3, 1).write(3, "n", "again");
    const Script s = said.script();
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Script other = reinterleave(s, seed);
        REQUIRE(other.steps.size() == s.steps.size());
        std::vector<bool> open(other.clients.size());
        std::uint64_t time = 0;
        for (std::size_t i = 0; i < other.steps.size(); ++i) {
            const Step &step = other.steps[i];
            CHECK(step.at_us >= time);
            time = step.at_us;
            for (const std::size_t a : step.after)
                CHECK(a < i);
            const bool opens = std::holds_alternative<xsgit::session::Opened>(step.what);
            CHECK(open[step.client] != opens);
            open[step.client] = !std::holds_alternative<xsgit::session::Closed>(step.what);
        }
    }
}
