// SPDX-License-Identifier: MIT
// A guest's page and a store that serves it, turn by turn; the guest may write anything anywhere, and the store may
// die at the end of a turn. Nothing may be read or written beside page and slot (the sanitizers see that). As long as
// the guest keeps to the rules, both streams must arrive whole.
#include "server/daemon/ring_transport.hpp"
#include "server/daemon/slot.hpp"
#include "server/engine/domain.hpp"
#include "tests/unit/daemon/memory_ring_host.hpp"
#include "world.hpp"

#include <cstring>
#include <memory>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::fuzz;

namespace {

struct Guest {
    std::unique_ptr<RingPage> page = std::make_unique<RingPage>();
    std::unique_ptr<SlotMemory> memory = std::make_unique<SlotMemory>();
    test::MemoryRingHost host;
    std::unique_ptr<RingTransport> transport;
    std::unique_ptr<Slot> slot;
    bool honest = true, ignored = false;
    std::string asked;    // bytes that an honest guest has sent and the store has not yet taken as messages
    std::string expected; // bytes that the store has sent and an honest guest has not yet taken
    std::uint32_t event = 0;

    Guest(std::uint32_t begin)
    {
        Slot::reset(*memory, 5, "");
        memory->ring.features = kFeatures;
        memory->ring.stage = RingStage::Serving;
        page->req_cons = page->req_prod = page->rsp_cons = page->rsp_prod = begin;
        begin_life();
    }
    void begin_life()
    {
        transport = std::make_unique<RingTransport>(*page, memory->ring, host);
        transport->open();
        slot = std::make_unique<Slot>(*memory, *transport);
        slot->settle();
    }

    // ---- the guest ---------------------------------------------------------
    void ask(std::string_view bytes)
    {
        const std::uint32_t room = kRingSize - (page->req_prod - page->req_cons);
        bytes = bytes.substr(0, honest ? room : kRingSize);
        for (const char c : bytes)
            page->req[page->req_prod++ & kRingMask] = c;
        if (honest)
            asked += bytes;
    }
    void take(std::uint32_t most)
    {
        for (; most != 0 && page->rsp_cons != page->rsp_prod; --most) {
            const char c = page->rsp[page->rsp_cons++ & kRingMask];
            if (honest) {
                require(!expected.empty() && expected[0] == c, "the guest reads what was not sent");
                expected.erase(0, 1);
            }
        }
    }
    void misbehave(Input &in)
    {
        honest = false;
        std::uint32_t *const words = &page->req_cons;
        const std::uint32_t value = static_cast<std::uint32_t>(in.byte()) << (in.byte() % 25);
        words[in.byte() % 8] = in.byte() % 2 ? value : words[in.byte() % 8] + value;
    }

    // ---- the store ---------------------------------------------------------
    void serve(int turns)
    {
        for (; turns > 0 && !ignored; --turns)
            switch (slot->frame()) {
            case Slot::Frame::TooLong:
                ignore(RingError::Protocol);
                break;
            case Slot::Frame::Complete:
                if (honest) {
                    require(std::string_view(asked).starts_with(slot->request()),
                            "another request than was sent");
                    asked.erase(0, slot->request().size());
                }
                slot->consume();
                break;
            case Slot::Frame::Partial: {
                const bool valid = page->req_prod - page->req_cons <= kRingSize;
                const Slot::Receive received = slot->receive();
                require(valid == (received != Slot::Receive::Broken), "wild request indexes are believed");
                switch (received) {
                case Slot::Receive::Data:
                    break;
                case Slot::Receive::Empty:
                    return transport->nudge();
                default:
                    require(!honest, "an honest guest is refused");
                    ignore(RingError::Index);
                }
            }
            }
    }
    void answer(std::string_view payload)
    {
        if (ignored || !slot->idle())
            return;
        std::string m(kHeaderSize, '\0');
        write_header({2, 0, 0, static_cast<std::uint32_t>(payload.size())}, m.data());
        m += payload;
        std::memcpy(slot->buffer(), m.data(), m.size());
        if (honest)
            expected += m;
        const bool valid = page->rsp_prod - page->rsp_cons <= kRingSize;
        const Slot::Send result = slot->start_batch(m.size(), {++event, 0});
        require(valid == (result != Slot::Send::Broken), "wild response indexes are believed");
        sent(result);
    }
    void go_on()
    {
        if (!ignored)
            sent(slot->send());
    }
    void sent(Slot::Send result)
    {
        if (result != Slot::Send::Broken)
            return;
        require(!honest, "an honest guest is refused");
        ignore(RingError::Index);
    }
    void ignore(RingError why)
    {
        ignored = true;
        transport->refuse(why);
        if (honest) // it has sent a length that is too long
            require(page->error == static_cast<std::uint32_t>(RingError::Protocol), "the guest is not told");
    }
    void finish()
    {
        for (int i = 0; i < 40 && honest && !ignored; ++i) {
            serve(100);
            go_on();
            take(kRingSize);
        }
        if (!honest || ignored)
            return;
        require(expected.empty(), "a message does not arrive");
        require(slot->frame() == Slot::Frame::Partial, "a request is left");
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Input in(data, size);
    Guest g(static_cast<std::uint32_t>(in.byte()) << 24 | in.byte());
    while (!in.empty())
        switch (in.byte() % 8) {
        case 0:
            g.ask(in.take(in.byte()));
            break;
        case 1: {
            std::string m(kHeaderSize, '\0');
            const std::string payload(in.byte() * 18u % (kPayloadMax + 1), 'x');
            write_header({in.byte() % 30u, 1, 0, static_cast<std::uint32_t>(payload.size())}, m.data());
            g.ask(m + payload);
            break;
        }
        case 2:
            g.take(in.byte() * 8u);
            break;
        case 3:
            g.serve(in.byte() % 8);
            break;
        case 4:
            g.answer(std::string(in.byte() * 16u, 'y'));
            break;
        case 5:
            g.go_on();
            break;
        case 6:
            g.begin_life();
            break;
        default:
            if (in.byte() % 4 == 0)
                g.misbehave(in);
        }
    g.finish();
    return 0;
}
