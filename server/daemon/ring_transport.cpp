// SPDX-License-Identifier: MIT
#include "server/daemon/ring_transport.hpp"

#include "server/engine/domain.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace xsgit::server {

namespace {

/// Between our own stores: another process of this host reads them only after our end.
void compiler_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

/// `intent` says from here on that `index` goes from `from` to `to`.
void announce(RingIntent &intent, std::uint32_t from, std::uint32_t to) noexcept
{
    compiler_fence();
    intent.from = from;
    intent.to = to;
    compiler_fence();
    store_word(intent.valid, 1);
    compiler_fence();
}

/// The index has been moved: says so in the order in which a successor reads it.
void conclude(RingIntent &intent, mmsghdr &m) noexcept
{
    compiler_fence();
    store_word(m.msg_len, intent.to - intent.from);
    compiler_fence();
    XSGIT_CRASH_POINT("ring.counted");
    store_word(intent.valid, 0);
    compiler_fence();
}

void abandon(RingIntent &intent) noexcept
{
    compiler_fence();
    store_word(intent.valid, 0);
    compiler_fence();
}

/// False: the guest has reset its ring meanwhile. A full barrier, in one instruction: there is no moment for a reset between
/// the look and the store.
bool move(std::uint32_t &index, std::uint32_t from, std::uint32_t to) noexcept
{
    return std::atomic_ref<std::uint32_t>(index).compare_exchange_strong(from, to, std::memory_order_seq_cst);
}

bool settle(RingIntent &intent, std::uint32_t index, mmsghdr &m) noexcept
{
    if (load_word(intent.valid) == 0)
        return true;
    const bool done = index == intent.to, not_begun = index == intent.from;
    store_word(m.msg_len, done ? intent.to - intent.from : kNoTransfer);
    abandon(intent);
    return done || not_begun;
}

} // namespace

void RingTransport::open() noexcept
{
    if (record_.stage == RingStage::Taken) {
        // A ring of which we have read nothing, and to which we have written nothing, counts as reset: an earlier
        // process may have done it, and the guest have begun to write.
        const std::uint32_t produced = load_word(page_.req_prod);
        if (load_word(page_.req_cons) != 0 || load_word(page_.rsp_cons) != 0 ||
            load_word(page_.rsp_prod) != 0 || produced > kRingSize) {
            store_word(page_.req_cons, 0);
            store_word(page_.req_prod, 0);
            store_word(page_.rsp_cons, 0);
            store_word(page_.rsp_prod, 0);
        }
        if ((record_.features & kFeatureError) != 0 && load_word(page_.error) != 0)
            store_word(page_.error, 0);
        XSGIT_CRASH_POINT("ring.zeroed");
        std::atomic_thread_fence(std::memory_order_seq_cst);
        store_word(page_.server_features, record_.features);
        record_.stage = RingStage::Reset;
        XSGIT_CRASH_POINT("ring.reset");
        compiler_fence();
    }
    if (record_.stage == RingStage::Reset) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (load_word(page_.connection) == kRingReconnect) {
            store_word(page_.connection, kRingConnected);
            ring();
        }
        compiler_fence();
        record_.stage = RingStage::Serving;
        compiler_fence();
    }
}

int RingTransport::receive(mmsghdr &m) noexcept
{
    const std::uint32_t from = load_word(page_.req_cons), produced = load_word(page_.req_prod);
    const std::uint32_t there = produced - from;
    if (there > kRingSize)
        return EPROTO;
    const iovec &to = m.msg_hdr.msg_iov[0];
    const std::uint32_t n = static_cast<std::uint32_t>(std::min<std::size_t>(there, to.iov_len));
    if (n == 0)
        return EAGAIN;
    const std::uint32_t at = from & kRingMask, first = std::min(n, kRingSize - at);
    char *bytes = static_cast<char *>(to.iov_base);
    std::memcpy(bytes, page_.req + at, first);
    std::memcpy(bytes + first, page_.req, n - first);
    // Firmware fills its page with ones before it sets the indexes back: these would be read as a message.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (load_word(page_.req_prod) - from < n)
        return EAGAIN;
    XSGIT_CRASH_POINT("ring.in.copied");
    announce(record_.in, from, from + n);
    XSGIT_CRASH_POINT("ring.in.announced");
    if (!move(page_.req_cons, from, from + n)) { // read completely, before the guest may overwrite
        abandon(record_.in);
        return EAGAIN;
    }
    XSGIT_CRASH_POINT("ring.in.moved");
    conclude(record_.in, m);
    untold_ = true;
    return 0;
}

int RingTransport::send(mmsghdr &m) noexcept
{
    const std::uint32_t consumed = load_word(page_.rsp_cons), from = load_word(page_.rsp_prod);
    std::atomic_thread_fence(std::memory_order_seq_cst); // what we overwrite has been read
    const std::uint32_t used = from - consumed;
    if (used > kRingSize)
        return EPROTO;
    const iovec &source = m.msg_hdr.msg_iov[0];
    const std::uint32_t n =
        static_cast<std::uint32_t>(std::min<std::size_t>(kRingSize - used, source.iov_len));
    if (n == 0)
        return EAGAIN;
    const std::uint32_t at = from & kRingMask, first = std::min(n, kRingSize - at);
    const char *bytes = static_cast<const char *>(source.iov_base);
    std::memcpy(page_.rsp + at, bytes, first);
    std::memcpy(page_.rsp, bytes + first, n - first);
    XSGIT_CRASH_POINT("ring.out.copied");
    announce(record_.out, from, from + n);
    XSGIT_CRASH_POINT("ring.out.announced");
    if (!move(page_.rsp_prod, from, from + n)) { // the bytes before the index
        abandon(record_.out);
        return EAGAIN;
    }
    XSGIT_CRASH_POINT("ring.out.moved");
    conclude(record_.out, m);
    XSGIT_CRASH_POINT("ring.out.done");
    ring();
    return 0;
}

bool RingTransport::settle_receive(mmsghdr &m) noexcept
{
    return settle(record_.in, load_word(page_.req_cons), m);
}

bool RingTransport::settle_send(mmsghdr &m) noexcept
{
    return settle(record_.out, load_word(page_.rsp_prod), m);
}

/// The guest stores its index, then looks at ours, to see whether it has to ring; we store ours, then look at its. Each
/// needs its store to be seen before it looks, or both believe that the other one has seen it.
bool RingTransport::more() const noexcept
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return load_word(page_.req_prod) != load_word(page_.req_cons);
}

bool RingTransport::has_room() const noexcept
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return load_word(page_.rsp_prod) - load_word(page_.rsp_cons) < kRingSize;
}

void RingTransport::nudge() noexcept
{
    if (untold_)
        ring();
}

bool RingTransport::refuse(RingError why) noexcept
{
    if ((record_.features & kFeatureError) != 0)
        store_word(page_.error, static_cast<std::uint32_t>(why));
    ring();
    return true;
}

void RingTransport::ring() noexcept
{
    host_.notify(record_.local);
    untold_ = false;
}

} // namespace xsgit::server
