// SPDX-License-Identifier: MIT
#include "server/daemon/caused_events.hpp"
#include "server/daemon/held_up.hpp"
#include "server/daemon/outbox.hpp"
#include "server/daemon/sent_names.hpp"

#include "xsgit/base/limits.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <string>

using namespace xsgit;
using namespace xsgit::server;

namespace {

std::string wire(std::uint32_t type, const std::string &payload)
{
    const std::uint32_t header[4] = {type, 0, 0, static_cast<std::uint32_t>(payload.size())};
    return std::string(reinterpret_cast<const char *>(header), sizeof header) + payload;
}

std::string event(const std::string &path, const std::string &token)
{
    return wire(15, path + '\0' + token + '\0');
}

std::string drain(Outbox &box)
{
    std::string all, piece(8192, '\0');
    while (!box.empty()) {
        const auto batch = box.take(piece.data(), piece.size());
        REQUIRE(batch.bytes > 0);
        all.append(piece, 0, batch.bytes);
    }
    return all;
}

} // namespace

TEST_CASE("messages leave whole and in order")
{
    Outbox box;
    CHECK(box.empty());
    const std::string big = wire(2, std::string(4096, 'x')), small = wire(2, "y");
    box.add({1, 0}, false, big);
    box.add({1, 1}, false, small);
    box.add({2, 0}, false, big);
    CHECK(box.front() == OutputName{1, 0});
    CHECK(box.bytes() == 2 * big.size() + small.size());
    std::string to(kMessageMax + 100, '\0');
    auto batch = box.take(to.data(), to.size());
    CHECK(batch.bytes == big.size() + small.size());
    CHECK(batch.last == OutputName{1, 1});
    CHECK(to.substr(0, batch.bytes) == big + small);
    CHECK(box.front() == OutputName{2, 0});
    batch = box.take(to.data(), to.size());
    CHECK(batch.last == OutputName{2, 0});
    CHECK(box.empty());
    CHECK(box.bytes() == 0);
}

TEST_CASE("an event that waits is not added again, a reply is")
{
    Outbox box;
    CHECK(box.add({1, 0}, true, event("/a", "t")) == Outbox::Added::Queued);
    CHECK(box.add({2, 0}, true, event("/a", "t")) == Outbox::Added::Merged);
    CHECK(box.add({3, 0}, true, event("/a", "u")) == Outbox::Added::Queued);
    CHECK(box.add({4, 0}, false, wire(11, "OK")) == Outbox::Added::Queued);
    CHECK(box.add({5, 0}, false, wire(11, "OK")) == Outbox::Added::Queued);
    CHECK(box.add({6, 0}, true, event("@releaseDomain", "t")) == Outbox::Added::Queued);
    CHECK(box.add({7, 0}, true, event("@releaseDomain", "t")) == Outbox::Added::Queued);
    CHECK(drain(box) == event("/a", "t") + event("/a", "u") + wire(11, "OK") + wire(11, "OK") +
                            event("@releaseDomain", "t") + event("@releaseDomain", "t"));
    CHECK(box.add({8, 0}, true, event("/a", "t")) == Outbox::Added::Queued); // the first one is gone
}

TEST_CASE("merging looks through long queues, and forgets what left")
{
    Outbox box;
    std::uint64_t n = 0;
    std::string expected;
    for (int round = 0; round < 3; ++round)
        for (int i = 0; i < 1000; ++i) {
            const std::string e = event("/path/" + std::to_string(i), "token");
            const auto added = box.add({++n, 0}, true, e);
            CHECK(added == (round == 0 ? Outbox::Added::Queued : Outbox::Added::Merged));
            if (added == Outbox::Added::Queued)
                expected += e;
        }
    std::string to(8192, '\0');
    const auto batch = box.take(to.data(), to.size());
    CHECK(to.substr(0, batch.bytes) == expected.substr(0, batch.bytes));
    CHECK(box.add({++n, 0}, true, event("/path/0", "token")) == Outbox::Added::Queued);
    CHECK(box.add({++n, 0}, true, event("/path/999", "token")) == Outbox::Added::Merged);
    CHECK(drain(box) == expected.substr(batch.bytes) + event("/path/0", "token"));
}

TEST_CASE("beyond the limit events are dropped and replies are not")
{
    Outbox box;
    std::uint64_t n = 0;
    int queued = 0;
    for (int i = 0; i < 2000; ++i)
        queued += box.add({++n, 0}, true, event("/" + std::string(3000, 'a') + std::to_string(i), "t")) ==
                  Outbox::Added::Queued;
    CHECK(queued > 300);
    CHECK(queued < 2000);
    CHECK(box.bytes() <= kOutputDropEvents);
    CHECK(box.add({++n, 0}, false, wire(2, std::string(4096, 'x'))) == Outbox::Added::Queued);
    box.clear();
    CHECK(box.empty());
    CHECK(box.add({++n, 0}, true, event("/x", "t")) == Outbox::Added::Queued);
}

TEST_CASE("the committer is told a safe bound of what was sent")
{
    SentNames names;
    CHECK(names.sent_up_to(5) > OutputName{1'000'000'000, 0}); // nobody knows it: nothing to keep
    names.add(5, 3);
    names.delivered(10);
    CHECK(names.sent_up_to(5) == OutputName{11, 0});
    names.waiting(3, {12, 4});
    names.delivered(12);
    CHECK(names.sent_up_to(5) == OutputName{12, 4});
    names.waiting(3, {12, 100000}); // does not fit: rounded down
    CHECK(names.sent_up_to(5) <= OutputName{12, 100000});
    CHECK(names.sent_up_to(5) > OutputName{12, 4});
    names.nothing_waits(3);
    CHECK(names.sent_up_to(5) == OutputName{13, 0});
    names.remove(5);
    CHECK(names.sent_up_to(5) > OutputName{1'000'000'000, 0});
}

TEST_CASE("what others have caused is counted while it waits")
{
    const auto numbers = [](const std::vector<Outbox::Caused> &list) {
        std::vector<std::uint64_t> n;
        for (const Outbox::Caused &c : list)
            n.push_back(c.event);
        return n;
    };
    using Numbers = std::vector<std::uint64_t>;
    Outbox box;
    std::string to(kMessageMax, '\0');
    const std::string one = event("/a", "t"), two = event("/b", "t");
    box.add({1, 0}, true, one, 100, 7);
    box.add({2, 0}, false, wire(2, "y"));
    box.add({3, 0}, true, two, 300, 8);
    CHECK(box.add({4, 0}, true, two, 400, 9) == Outbox::Added::Merged);
    CHECK(box.oldest_counted_ms() == INT64_MAX);
    CHECK(numbers(box.take_waiting()) == Numbers{1, 3});
    CHECK(box.take_waiting().empty());
    CHECK(box.oldest_counted_ms() == 100);
    box.add({5, 0}, true, event("/c", "t"), 500, 7);
    CHECK(numbers(box.take_waiting()) == Numbers{5});

    SUBCASE("until it is taken")
    {
        box.take(to.data(), one.size() + 20);
        const auto gone = box.take_gone();
        CHECK(numbers(gone) == Numbers{1});
        CHECK(gone[0].by == 7);
        CHECK(gone[0].bytes == one.size());
        CHECK(box.oldest_counted_ms() == 300);
        drain(box);
        CHECK(numbers(box.take_gone()) == Numbers{3, 5});
    }
    SUBCASE("until it has expired")
    {
        CHECK(box.expire(400) == 2);
        CHECK(numbers(box.take_gone()) == Numbers{1, 3});
        CHECK(box.take_waiting().empty());
        CHECK(box.oldest_counted_ms() == 500);
    }
    SUBCASE("until nobody reads it")
    {
        box.clear();
        CHECK(numbers(box.take_gone()) == Numbers{1, 3, 5});
    }
    SUBCASE("until it is forgiven")
    {
        box.count_no_more();
        CHECK(numbers(box.take_gone()) == Numbers{1, 3, 5});
        CHECK(box.oldest_counted_ms() == INT64_MAX);
        CHECK(box.oldest_ms() == 100);
        CHECK(box.take_waiting().empty());
        // Nor those of which nobody has been told yet: they are not gone from what is counted.
        box.add({6, 0}, true, event("/d", "t"), 600, 8);
        box.count_no_more();
        CHECK(box.take_waiting().empty());
        drain(box);
        CHECK(box.take_gone().empty());
    }
    SUBCASE("also when others before it have expired")
    {
        box.expire(400);
        box.take_gone();
        box.count_no_more();
        CHECK(numbers(box.take_gone()) == Numbers{5});
    }
}

TEST_CASE("a request is outstanding until all events of it are taken")
{
    CausedEvents caused;
    caused.waits(1, 7, 100);
    caused.waits(1, 7, 50);
    caused.waits(2, 7, 10);
    caused.waits(3, 8, 1000);
    CHECK(caused.load(7).requests == 2);
    CHECK(caused.load(7).bytes == 160);
    CHECK(caused.gone(1, 100) == 7);
    CHECK(caused.load(7).requests == 2);
    CHECK(caused.gone(1, 50) == 7);
    CHECK(caused.load(7).requests == 1);
    CHECK(caused.load(7).bytes == 10);
    CHECK(caused.gone(1, 50) == 0);
    caused.forget(7);
    CHECK(caused.gone(2, 10) == 0);
    CHECK(caused.load(7).requests == 0);
    CHECK(caused.gone(3, 1000) == 8);
    CHECK(caused.empty());
}

TEST_CASE("a full queue still takes one special event of a kind")
{
    Outbox box;
    std::uint64_t n = 1;
    for (const std::size_t token : {1000, 1}) // to the last byte
        while (box.add({n, 0}, true, event("/" + std::to_string(n), std::string(token, 't'))) ==
               Outbox::Added::Queued)
            ++n;
    const std::string end = event("@releaseDomain", "t"), other = event("@releaseDomain", "u");
    CHECK(box.add({1'000'000, 0}, true, end) == Outbox::Added::Queued);
    CHECK(box.add({1'000'001, 0}, true, end) == Outbox::Added::Merged);
    CHECK(box.add({1'000'002, 0}, true, other) == Outbox::Added::Queued);
    CHECK(box.add({1'000'003, 0}, true, event("/x", "t")) == Outbox::Added::Dropped);
}

TEST_CASE("who fills a queue loses what does not fit; others are heard of")
{
    Outbox box;
    std::uint64_t n = 0;
    std::size_t dropped = 0;
    const std::string token(1000, 't');
    for (int i = 0; i < 2000; ++i)
        dropped +=
            box.add({++n, 0}, true, event("/a/" + std::to_string(i), token), 1, 5) == Outbox::Added::Dropped;
    CHECK(dropped > 900);
    CHECK(box.bytes() <= kOutputDropEvents);
    CHECK(box.add({++n, 0}, true, event("/b", "t"), 1, 6) == Outbox::Added::Queued);
    // Up to a share each, and a limit for all.
    for (std::uint64_t by = 7; by < 200; ++by)
        for (int i = 0; i < 100; ++i)
            box.add({++n, 0}, true, event("/" + std::to_string(by) + "/" + std::to_string(i), token), 1, by);
    CHECK(box.bytes() > kOutputMost - 2000);
    CHECK(box.bytes() <= kOutputMost);
    // As it is taken there is room again.
    std::string to(kMessageMax, '\0');
    while (box.bytes() > kOutputDropEvents / 2)
        box.take(to.data(), to.size());
    CHECK(box.add({++n, 0}, true, event("/a/new", token), 1, 5) == Outbox::Added::Queued);
    drain(box);
}

TEST_CASE("pauses add up, reading does not")
{
    constexpr std::int64_t patience = 1000;
    HeldUp reader, pauser;
    std::int64_t now = 1'000'000;
    for (int i = 0; i < 100'000; ++i) {
        reader.begin(now);
        now += 3;
        CHECK_FALSE(reader.too_long(now, patience));
        reader.took(now, patience);
    }
    int pauses = 0;
    for (bool found = false; !found && pauses < 100; ++pauses) {
        pauser.begin(now);
        now += 300;
        found = pauser.too_long(now, patience);
        pauser.took(now, patience);
        now += 5;
    }
    CHECK(pauses == 4);
    now += HeldUp::kForgetMs + 1000;
    pauser.begin(now);
    CHECK_FALSE(pauser.too_long(now + 300, patience));
    CHECK(pauser.too_long(now + 1001, patience));
}
