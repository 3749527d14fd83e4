// SPDX-License-Identifier: MIT
// What requests cost, in bytes and steps: neither the log of a transaction nor watches elsewhere may make them dear.
#include "server/engine/watch_index.hpp"
#include "tests/unit/support/allocations.hpp"
#include "world.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;
using xsgit::test::Allocations;

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
    void on_epoch(const NewEpoch &, const Tree &) override {}
};

struct Cost {
    std::size_t comparisons, allocations;
};

/// A store and a few watches in it, and so many elsewhere: beside each node on the way to /a/b/c/d/e, on the
/// nodes of guests, on the special events.
class Crowd {
public:
    explicit Crowd(std::size_t elsewhere)
    {
        writer_ = w_.connect();
        const auto watcher = w_.connect();
        for (const char *path : {"/", "/a/b", "/a/b/c/d", "/a/b/c/d/e/below", "@introduceDomain"})
            CHECK(w_.ask(watcher, MsgType::Watch, args({path, "t"})) == "OK");
        static const char *const beside[] = {"/", "/a/", "/a/b/", "/a/b/c/", "/a/b/c/d/", "@"};
        std::uint64_t conn = 0;
        for (std::size_t i = 0; i < elsewhere; ++i) {
            if (i % 1000 == 0)
                conn = w_.connect();
            const std::string n = std::to_string(i);
            const std::string path =
                i % 7 == 6 ? "/local/domain/" + n + "/device" : beside[i % 7] + ("n" + n);
            REQUIRE(w_.ask(conn, MsgType::Watch, args({path, "t"})) == "OK");
        }
    }
    /// One by one; each tells the watchers what it should.
    std::vector<Cost> play()
    {
        using Strings = std::vector<std::string>;
        const auto some = [](const char *path) {
            return Strings{"2:" + std::string(path), "2:" + std::string(path)};
        };
        const auto all = [&](const char *path) {
            Strings s = some(path);
            s.push_back(s[0]);
            return s;
        };
        const auto d = "/a/b/c/d/e";
        std::vector<Cost> out;
        const auto measure = [&](const Strings &events, MsgType type, const std::string &payload,
                                 std::uint32_t tx = 0) {
            const std::size_t before = WatchIndex::comparisons();
            const Allocations allocations;
            CHECK(w_.ask(writer_, type, payload, tx) == "OK");
            out.push_back({WatchIndex::comparisons() - before, allocations.count()});
            CHECK(w_.events == events);
        };
        measure(all(d), MsgType::Write, args({d}) + "value");
        measure(some("/a/b/x"), MsgType::Mkdir, args({"/a/b/x"}));
        measure(all(d), MsgType::SetPerms, args({d, "n0"}));
        measure({"2:/a/b/c/d/e/below", "2:/a/b/c/d/e/below", "2:/a/b/c/d/e/below", "2:/a/b/c/d/e/below"},
                MsgType::Write, args({"/a/b/c/d/e/below"}));
        const auto tx = w_.begin(writer_);
        w_.write(writer_, d, "2", tx);
        w_.write(writer_, "/a/b/y", "2", tx);
        Strings both = all(d);
        for (const std::string &e : some("/a/b/y"))
            both.push_back(e);
        measure(both, MsgType::TransactionEnd, args({"T"}), tx);
        Strings gone = all(d);
        gone.insert(gone.begin(), "2:/a/b/c/d/e/below");
        measure(gone, MsgType::Rm, args({d}));
        measure({"1:/a/b/c/d"}, MsgType::Watch, args({"/a/b/c/d", "mine"}));
        measure({}, MsgType::Unwatch, args({"/a/b/c/d", "mine"}));
        measure(some("/a/b/x"), MsgType::Rm, args({"/a/b/x"}));
        measure(some("/a/b/y"), MsgType::Rm, args({"/a/b/y"}));
        return out;
    }

private:
    World w_;
    std::uint64_t writer_ = 0;
};

} // namespace

TEST_CASE("who is told costs depth and watches found, not watches elsewhere")
{
    Crowd few(10), many(100'000);
    few.play(); // buffers grow once
    many.play();
    const auto a = few.play(), b = many.play();
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        CAPTURE(i);
        CHECK(a[i].comparisons > 0);
        // 14,000 names stand side by side: a search among them takes some 17 steps, not 14,000.
        CHECK(b[i].comparisons <= a[i].comparisons + 200);
        CHECK(b[i].allocations == a[i].allocations);
    }
}

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

TEST_CASE("who changed what is remembered within bounds, however large the transactions were")
{
    constexpr std::size_t kNodes = 500, kRounds = 60;
    Reports reports;
    World w(&reports);
    const auto a = w.connect();
    const std::string big(2000, 'v');
    for (std::size_t i = 0; i < kNodes; ++i)
        w.write(a, "/big/" + std::to_string(i), big);
    const Allocations cost;
    for (std::size_t round = 0; round < kRounds; ++round) {
        const auto tx = w.begin(a);
        for (std::size_t i = 0; i < kNodes; ++i)
            w.write(a, "/big/" + std::to_string(i), big, tx);
        REQUIRE(w.end(a, tx) == "OK");
    }
    CHECK(cost.peak() < std::size_t{48} << 20); // a megabyte each would be 60 in the end, and 1024 at worst
}
