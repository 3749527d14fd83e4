// SPDX-License-Identifier: MIT
#include "server/daemon/ring_transport.hpp"
#include "server/daemon/slot.hpp"
#include "server/engine/domain.hpp"
#include "tests/unit/daemon/memory_ring_host.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <string>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::test;

namespace {

std::string message(std::uint32_t type, std::uint32_t length, char fill)
{
    const std::uint32_t header[4] = {type, 0, 0, length};
    std::string m(kHeaderSize + length, fill);
    std::memcpy(m.data(), header, sizeof header);
    return m;
}

struct Fixture {
    std::unique_ptr<RingPage> page = std::make_unique<RingPage>();
    std::unique_ptr<SlotMemory> memory = std::make_unique<SlotMemory>();
    MemoryRingHost host;
    std::unique_ptr<RingTransport> transport;
    std::unique_ptr<Slot> slot;

    Fixture()
    {
        Slot::reset(*memory, 1, "");
        memory->ring.features = kFeatures;
        memory->ring.stage = RingStage::Serving;
        begin();
    }
    /// A process that finds what another one has left.
    void begin()
    {
        transport = std::make_unique<RingTransport>(*page, memory->ring, host);
        slot = std::make_unique<Slot>(*memory, *transport);
    }
    void successor()
    {
        begin();
        slot->settle();
    }
    void all_indexes(std::uint32_t n)
    {
        page->req_cons = page->req_prod = page->rsp_cons = page->rsp_prod = n;
    }

    /// As a guest writes: as much as there is room for; gives the rest.
    std::string put(std::string text)
    {
        const std::size_t room = kRingSize - (page->req_prod - page->req_cons);
        const std::size_t n = std::min(room, text.size());
        for (std::size_t i = 0; i < n; ++i)
            page->req[(page->req_prod + i) & kRingMask] = text[i];
        page->req_prod += static_cast<std::uint32_t>(n);
        return text.substr(n);
    }
    std::string take()
    {
        std::string out;
        for (; page->rsp_cons != page->rsp_prod; ++page->rsp_cons)
            out += page->rsp[page->rsp_cons & kRingMask];
        return out;
    }
    Slot::Send start(const std::string &text)
    {
        std::memcpy(slot->buffer(), text.data(), text.size());
        return slot->start_batch(text.size(), {1, 0});
    }
};

constexpr std::uint32_t kEvent = 15, kRead = 2;

} // namespace

TEST_CASE_FIXTURE(Fixture, "requests of any size pass, wherever the indexes are")
{
    for (const std::uint32_t begin : {0u, 1u, 1000u, 0xfffffff0u, 0xfffffc01u}) {
        all_indexes(begin);
        for (const std::uint32_t length : {0u, 1u, 500u, 1008u, 1009u, 4096u}) {
            const std::string m = message(kRead, length, static_cast<char>('a' + length % 26));
            for (std::string rest = m; slot->frame() == Slot::Frame::Partial;) {
                rest = put(rest);
                CHECK(transport->more());
                REQUIRE(slot->receive() == Slot::Receive::Data);
            }
            REQUIRE(slot->frame() == Slot::Frame::Complete);
            CHECK(slot->request() == m);
            slot->consume();
            CHECK(!transport->more());
            CHECK(slot->receive() == Slot::Receive::Empty);
        }
        CHECK(page->req_cons == page->req_prod);
    }
}

TEST_CASE_FIXTURE(Fixture, "answers pass in as many pieces as the ring needs, and each rings")
{
    for (const std::uint32_t begin : {0u, 1023u, 0xfffffe00u}) {
        all_indexes(begin);
        const std::string m = message(kRead, 4096, 'x') + message(kEvent, 3, 'y');
        host.rung = 0;
        Slot::Send state = start(m);
        std::string got;
        for (; state == Slot::Send::Full; state = slot->send()) {
            CHECK(page->rsp_prod - page->rsp_cons == kRingSize);
            CHECK(slot->send() == Slot::Send::Full); // nothing is taken: nothing happens
            got += take();
        }
        CHECK(state == Slot::Send::Done);
        CHECK(got + take() == m);
        CHECK(host.rung == 5);
    }
}

TEST_CASE_FIXTURE(Fixture, "the guest is rung for room once, and not if it was rung since")
{
    put(message(kRead, 100, 'a'));
    REQUIRE(slot->receive() == Slot::Receive::Data);
    CHECK(host.rung == 0);
    transport->nudge();
    transport->nudge();
    CHECK(host.rung == 1);
    slot->consume();
    put(message(kRead, 100, 'b'));
    REQUIRE(slot->receive() == Slot::Receive::Data);
    start(message(kRead, 5, 'r'));
    CHECK(host.rung == 2);
    transport->nudge();
    CHECK(host.rung == 2);
}

TEST_CASE_FIXTURE(Fixture, "indexes that cannot be are seen, and touched by nobody")
{
    const auto receives = [&](std::uint32_t cons, std::uint32_t prod) {
        page->req_cons = cons;
        page->req_prod = prod;
        CHECK(transport->more());
        CHECK(slot->receive() == Slot::Receive::Broken);
        CHECK(page->req_cons == cons);
        CHECK(page->req_prod == prod);
    };
    receives(0, 1025);
    receives(1, 0);
    receives(0, 0x80000000);
    receives(0xffffffff, 0x400);
    const auto sends = [&](std::uint32_t cons, std::uint32_t prod) {
        page->rsp_cons = cons;
        page->rsp_prod = prod;
        CHECK(slot->send() == Slot::Send::Broken);
        CHECK(page->rsp_prod == prod);
    };
    CHECK(start(message(kRead, 2000, 'x')) == Slot::Send::Full);
    sends(5, 0);
    sends(0, 1025);
    CHECK(transport->refuse(RingError::Index));
    CHECK(page->error == 2);
    memory->ring.features = 0;
    page->error = 0;
    CHECK(transport->refuse(RingError::Index));
    CHECK(page->error == 0); // older guests do not know that field
}

TEST_CASE_FIXTURE(Fixture, "replies that are under way are counted, events are not")
{
    CHECK(slot->unsent_replies() == 0);
    const std::string m = message(kEvent, 500, 'e') + message(kRead, 1000, 'a') + message(kRead, 10, 'b') +
                          message(kEvent, 10, 'f') + message(kRead, 0, 'c');
    CHECK(start(m) == Slot::Send::Full);
    CHECK(slot->unsent_replies() == 3);
    take();
    slot->send();
    CHECK(slot->unsent_replies() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a successor finds out whether an index was moved")
{
    // Receiving: the record as it is while a piece of 20 bytes is taken.
    put(message(kRead, 30, 'a'));
    page->req_prod -= 26;
    page->req_cons = 0;
    REQUIRE(slot->receive() == Slot::Receive::Data); // 20 bytes; now back to the middle of it
    mmsghdr &in = memory->in[memory->input_active].msg;
    REQUIRE(in.msg_len == 20);
    memory->ring.in.valid = 1;

    SUBCASE("moved, and not noted")
    {
        in.msg_len = kNoTransfer;
        page->req_prod += 26;
        successor();
        REQUIRE(slot->receive() == Slot::Receive::Data);
        CHECK(slot->request() == message(kRead, 30, 'a'));
    }
    SUBCASE("not moved")
    {
        in.msg_len = kNoTransfer;
        page->req_cons = 0;
        page->req_prod += 26;
        successor();
        REQUIRE(slot->receive() == Slot::Receive::Data);
        CHECK(slot->request() == message(kRead, 30, 'a'));
    }
    SUBCASE("the guest has begun anew: half a request is void")
    {
        in.msg_len = kNoTransfer;
        all_indexes(7000);
        successor();
        put(message(kRead, 4, 'n'));
        REQUIRE(slot->receive() == Slot::Receive::Data);
        CHECK(slot->request() == message(kRead, 4, 'n'));
    }
    CHECK(memory->ring.in.valid == 0);
}

TEST_CASE_FIXTURE(Fixture, "a whole request is kept when the guest begins anew")
{
    put(message(kRead, 4, 'a') + message(kRead, 4, 'b').substr(0, 18));
    REQUIRE(slot->receive() == Slot::Receive::Data);
    memory->ring.in.valid = 1;
    all_indexes(0);
    page->req_cons = page->req_prod = 5;
    // What was taken last is not known to be whole; what was taken before is.
    put(message(kRead, 4, 'c'));
    memory->ring.in.from = 38; // as if the second piece had come by a transfer of its own
    memory->ring.in.to = 40;
    memory->in[memory->input_active].msg.msg_len = kNoTransfer;
    memory->in[memory->input_active].end = 38;
    successor();
    REQUIRE(slot->frame() == Slot::Frame::Complete);
    CHECK(slot->request() == message(kRead, 4, 'a'));
    slot->consume();
    REQUIRE(slot->receive() == Slot::Receive::Data);
    CHECK(slot->request() == message(kRead, 4, 'c'));
}

TEST_CASE_FIXTURE(Fixture, "half an answer is void when the guest begins anew, the next ones are not")
{
    const std::string a = message(kRead, 1500, 'a'), b = message(kRead, 4, 'b');
    CHECK(start(a + b) == Slot::Send::Full);
    memory->ring.out.valid = 1;
    all_indexes(0);
    page->rsp_cons = page->rsp_prod = 3;
    memory->out[memory->output_active].msg.msg_len = kNoTransfer;
    memory->out[memory->output_active].sent = 1024; // an earlier piece went, this one did not
    successor();
    CHECK(slot->send() == Slot::Send::Done);
    CHECK(take() == b);
}

TEST_CASE_FIXTURE(Fixture, "a ring is opened step by step")
{
    page->req_prod = 33;
    page->rsp_prod = page->rsp_cons = 12;
    page->connection = kRingReconnect;
    page->error = 2;
    memory->ring.stage = RingStage::Taken;
    SUBCASE("at once") { transport->open(); }
    SUBCASE("by a successor, before the guest is told")
    {
        page->req_prod = page->rsp_prod = page->rsp_cons = 0;
        page->error = 0;
        page->server_features = kFeatures;
        memory->ring.stage = RingStage::Reset;
        transport->open();
    }
    CHECK(page->req_prod == 0);
    CHECK(page->rsp_prod == 0);
    CHECK(page->rsp_cons == 0);
    CHECK(page->error == 0);
    CHECK(page->server_features == kFeatures);
    CHECK(page->connection == kRingConnected);
    CHECK(host.rung == 1);
    CHECK(memory->ring.stage == RingStage::Serving);
    page->connection = kRingReconnect; // that feature is not offered: left alone
    page->rsp_cons = page->rsp_prod = 9;
    transport->open();
    CHECK(page->connection == kRingReconnect);
    CHECK(page->rsp_prod == 9);
    CHECK(host.rung == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "who does not wait for a connection is not rung; who has begun to write is not reset")
{
    put(message(kRead, 4, 'a'));
    memory->ring.stage = RingStage::Taken;
    transport->open();
    CHECK(host.rung == 0);
    REQUIRE(slot->receive() == Slot::Receive::Data);
    CHECK(slot->request() == message(kRead, 4, 'a'));
}
