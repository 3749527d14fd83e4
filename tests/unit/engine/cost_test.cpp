// SPDX-License-Identifier: MIT
// What requests cost, in bytes and steps: neither the log of a transaction nor watches elsewhere may make them dear.
#include "allocations.hpp"
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

/// Adds up what a report of a conflict refers to.
struct Reports final : ChangeSink {
    std::size_t requests = 0, differs = 0, replies = 0;
    std::string first, reply, now, last, path;
    void on_change(const Change &) override {}
    void on_conflict(const Conflict &c) override
    {
        requests = c.log.size();
        differs = c.differs;
        replies = 0;
        for (const Conflict::Entry &e : c.log)
            replies += e.reply.size();
        first = c.log.front().reply;
        last = c.log.back().reply;
        reply = c.log[c.differs].reply;
        path = c.log[c.differs].op.path;
        now = c.reply_now;
    }
    void on_epoch(std::uint32_t, const Tree &) override {}
};

} // namespace

TEST_CASE("the report of a conflict keeps little of what was answered")
{
    constexpr std::size_t kRequests = 20000, kDiffers = 10000;
    Reports reports;
    World w(&reports);
    const auto a = w.connect(), b = w.connect();
    const std::string big(1900, 'v');
    w.write(a, "/big", big);
    w.write(a, "/other", big);
    const auto tx = w.begin(a);
    for (std::size_t i = 0; i < kRequests; ++i) {
        REQUIRE(w.read(a, i == kDiffers ? "/other" : "/big", tx) == big);
    }
    const std::string changed(1800, 'w');
    w.write(b, "/other", changed);
    const Allocations cost;
    CHECK(w.end(a, tx) == "EAGAIN");
    CHECK(reports.requests == kRequests);
    CHECK(reports.differs == kDiffers);
    CHECK(reports.path == "/other");
    CHECK(reports.reply == big); // this one is what it is about
    CHECK(reports.now == changed);
    CHECK(reports.first == std::string(200, 'v') + "... (1900 bytes)");
    CHECK(reports.last == reports.first);
    CHECK(reports.replies < 600'000);
    CHECK(cost.peak() < kRequests * 100); // the list of requests itself
}
