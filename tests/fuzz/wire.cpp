// SPDX-License-Identifier: MIT
// A socket's bytes, cut anywhere, with deaths in between: whatever they are, the slot finds the messages in them that
// a look at the whole stream finds, each once, and the engine answers each. The input: pieces of a length byte and as
// many bytes; length 0 with what follows: a whole request, a death, a wild length.
#include "server/daemon/slot.hpp"
#include "world.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::fuzz;

namespace {

/// The kernel's side of a socket: some bytes are there, the client takes some.
class Stream final : public Transport {
public:
    int receive(mmsghdr &m) noexcept override
    {
        const iovec &to = m.msg_hdr.msg_iov[0];
        const std::size_t n = std::min(there.size(), to.iov_len);
        require(to.iov_len > 0, "no room for input");
        if (n == 0)
            return EAGAIN;
        std::memcpy(to.iov_base, there.data(), n);
        there.remove_prefix(n);
        m.msg_len = static_cast<unsigned>(n);
        return 0;
    }
    int send(mmsghdr &) noexcept override { return EAGAIN; }
    bool settle_receive(mmsghdr &) noexcept override { return true; }
    bool settle_send(mmsghdr &) noexcept override { return true; }
    bool more() const noexcept override { return false; }
    bool has_room() const noexcept override { return false; }
    void nudge() noexcept override {}
    bool refuse(RingError) noexcept override { return false; }

    std::string_view there;
};

struct Client {
    std::unique_ptr<SlotMemory> memory = std::make_unique<SlotMemory>();
    Stream stream;
    std::unique_ptr<Slot> slot;
    std::string sent; // all that came and is not yet a message
    bool closed = false;
    World world;

    Client()
    {
        Slot::reset(*memory, 0, "");
        slot = std::make_unique<Slot>(*memory, stream);
    }

    void die()
    {
        slot = std::make_unique<Slot>(*memory, stream);
        slot->settle();
    }

    void come(std::string_view bytes)
    {
        sent += bytes;
        stream.there = bytes;
        while (!closed) {
            const Slot::Frame frame = slot->frame();
            if (frame == Slot::Frame::TooLong) {
                require(sent.size() >= kHeaderSize && read_header(sent.data()).len > kPayloadMax, "too long");
                closed = true;
            } else if (frame == Slot::Frame::Complete) {
                const std::string_view request = slot->request();
                require(std::string_view(sent).starts_with(request), "another message than was sent");
                const Header h = read_header(request.data());
                require(h.len + kHeaderSize == request.size(), "a message of another length");
                world.request(1, h.type, h.tx_id, request.substr(kHeaderSize));
                sent.erase(0, request.size());
                slot->consume();
            } else if (slot->receive() == Slot::Receive::Empty) {
                require(stream.there.empty(), "bytes are left");
                break;
            }
        }
    }
};

std::string whole(Input &in)
{
    Header h{in.byte() % 30u, 1, in.byte() % 4u, 0};
    const std::string payload(in.take(in.byte() * 20u));
    h.len = static_cast<std::uint32_t>(payload.size());
    std::string m(kHeaderSize, '\0');
    write_header(h, m.data());
    return m + payload;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    Client c;
    Input in(data, size);
    while (!in.empty() && !c.closed) {
        if (const std::uint8_t n = in.byte()) {
            c.come(in.take(n));
            continue;
        }
        switch (in.byte() % 4) {
        case 0:
            c.die();
            break;
        case 1: {
            std::string m = whole(in);
            const std::uint32_t length = in.byte() << (in.byte() % 25);
            std::memcpy(m.data() + 12, &length, sizeof length);
            c.come(m);
            break;
        }
        default:
            c.come(whole(in));
        }
    }
    c.world.check();
    return 0;
}
