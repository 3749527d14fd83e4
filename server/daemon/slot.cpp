// SPDX-License-Identifier: MIT
#include "server/daemon/slot.hpp"

#include "server/engine/wire.hpp"
#include "xsgit/base/crash_point.hpp"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace xsgit::server {

namespace {

/// Stores before it are in memory before stores after it, as far as the compiler goes.
void fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

/// A store that takes effect at once and in one piece.
template <class T>
void publish(T &where, T value) noexcept
{
    fence();
    *const_cast<volatile T *>(&where) = value;
    fence();
}

std::uint32_t count(const mmsghdr &m) noexcept
{
    const std::uint32_t n = *const_cast<const volatile unsigned *>(&m.msg_len);
    return n == kNoTransfer ? 0 : n;
}

void prepare(mmsghdr &m, iovec &iov, char *base, std::size_t length) noexcept
{
    iov = {base, length};
    m.msg_hdr = {};
    m.msg_hdr.msg_iov = &iov;
    m.msg_hdr.msg_iovlen = 1;
    m.msg_len = kNoTransfer;
}

std::uint32_t payload_length(const char *header) noexcept
{
    std::uint32_t n;
    std::memcpy(&n, header + 12, sizeof n);
    return n;
}

} // namespace

void Slot::reset(SlotMemory &m, std::uint32_t domid, std::string_view facts) noexcept
{
    std::memset(&m, 0, offsetof(SlotMemory, input));
    m.domid = domid;
    std::memcpy(m.facts, facts.data(), std::min(facts.size(), sizeof m.facts - 1));
    for (InputRecord &r : m.in) {
        r.first = 1;
        r.msg.msg_len = kNoTransfer;
    }
    for (OutputRecord &r : m.out)
        r.msg.msg_len = kNoTransfer;
}

void Slot::set_conn(std::uint64_t conn) noexcept { publish(m_.conn, conn); }

void Slot::set_executing(Executing e) noexcept
{
    publish(m_.executing, e.number << 8 | (e.blame > 0xff ? 0xff : e.blame));
}

std::uint32_t Slot::input_end() const noexcept
{
    const InputRecord &r = m_.in[m_.input_active];
    return r.end + count(r.msg);
}

Slot::Frame Slot::frame() const noexcept
{
    const std::uint32_t start = m_.in[m_.input_active].start, have = input_end() - start;
    if (have < kHeaderSize)
        return Frame::Partial;
    const std::uint32_t length = payload_length(m_.input + start);
    if (length > kPayloadMax)
        return Frame::TooLong;
    return have < kHeaderSize + length ? Frame::Partial : Frame::Complete;
}

std::string_view Slot::request() const noexcept
{
    assert(frame() == Frame::Complete);
    const char *at = m_.input + m_.in[m_.input_active].start;
    return {at, kHeaderSize + payload_length(at)};
}

void Slot::put_input(std::uint32_t start, std::uint32_t end, std::uint64_t first) noexcept
{
    const std::uint32_t other = m_.input_active ^ 1;
    InputRecord &r = m_.in[other];
    r.start = start;
    r.end = end;
    r.first = first;
    prepare(r.msg, r.iov, m_.input + end, kSlotInput - end);
    XSGIT_CRASH_POINT("input.prepared");
    publish(m_.input_active, other);
}

void Slot::consume() noexcept
{
    const InputRecord &r = m_.in[m_.input_active];
    put_input(r.start + static_cast<std::uint32_t>(request().size()), input_end(), r.first + 1);
}

Slot::Receive Slot::receive() noexcept
{
    assert(frame() == Frame::Partial);
    std::uint32_t start = m_.in[m_.input_active].start, end = input_end();
    const std::uint32_t have = end - start;
    // Half a request moves to the front when it does not overlap itself there. When it would, it
    // lies so far in front that the rest of it has room behind.
    if (have <= start) {
        std::memcpy(m_.input, m_.input + start, have);
        start = 0;
        end = have;
    }
    put_input(start, end, m_.in[m_.input_active].first);
    InputRecord &r = m_.in[m_.input_active];
    XSGIT_CRASH_POINT("receive.prepared");
    const int error = transport_.receive(r.msg);
    XSGIT_CRASH_POINT("receive.done");
    if (error)
        return error == EAGAIN ? Receive::Empty : error == EPROTO ? Receive::Broken : Receive::End;
    return r.msg.msg_len == 0 ? Receive::End : Receive::Data;
}

std::uint32_t Slot::sent() const noexcept
{
    const OutputRecord &r = m_.out[m_.output_active];
    return r.sent + count(r.msg);
}

bool Slot::idle() const noexcept { return sent() == m_.out[m_.output_active].total; }

OutputName Slot::last() const noexcept
{
    const OutputRecord &r = m_.out[m_.output_active];
    return {r.last_event, r.last_index};
}

bool Slot::untouched() const noexcept
{
    return request_number() == 1 && input_end() == 0 && m_.out[m_.output_active].total == 0;
}

void Slot::forget_after(std::uint64_t newest) noexcept
{
    if (last().event > newest)
        put_output(m_.out[m_.output_active].total, sent(), {newest, UINT32_MAX});
}

void Slot::put_output(std::uint32_t total, std::uint32_t sent, OutputName last) noexcept
{
    const std::uint32_t other = m_.output_active ^ 1;
    OutputRecord &r = m_.out[other];
    r.total = total;
    r.sent = sent;
    r.last_event = last.event;
    r.last_index = last.index;
    prepare(r.msg, r.iov, m_.output + sent, total - sent);
    XSGIT_CRASH_POINT("send.prepared");
    publish(m_.output_active, other);
    XSGIT_CRASH_POINT("send.chosen");
}

Slot::Send Slot::transfer() noexcept
{
    for (;;) {
        const int error = transport_.send(m_.out[m_.output_active].msg);
        XSGIT_CRASH_POINT("send.done");
        if (error)
            return error == EAGAIN ? Send::Full : error == EPROTO ? Send::Broken : Send::Gone;
        if (idle())
            return Send::Done;
        if (!transport_.has_room())
            return Send::Full;
        const OutputRecord &r = m_.out[m_.output_active];
        put_output(r.total, sent(), last());
    }
}

Slot::Send Slot::start_batch(std::size_t total, OutputName last) noexcept
{
    assert(idle() && total > 0 && total <= kSlotOutput);
    put_output(static_cast<std::uint32_t>(total), 0, last);
    return transfer();
}

Slot::Send Slot::send() noexcept
{
    if (idle())
        return Send::Done;
    const OutputRecord &r = m_.out[m_.output_active];
    put_output(r.total, sent(), last());
    return transfer();
}

std::size_t Slot::unsent_replies() const noexcept
{
    std::size_t n = 0;
    const std::uint32_t total = m_.out[m_.output_active].total, gone = sent();
    for (std::uint32_t at = 0; at < total;) {
        std::uint32_t type;
        std::memcpy(&type, m_.output + at, sizeof type);
        at += static_cast<std::uint32_t>(kHeaderSize) + payload_length(m_.output + at);
        n += at > gone && type != static_cast<std::uint32_t>(MsgType::WatchEvent);
    }
    return n;
}

void Slot::settle() noexcept
{
    if (!transport_.settle_receive(m_.in[m_.input_active].msg)) {
        // The beginning of a request whose rest will not come.
        const InputRecord &r = m_.in[m_.input_active];
        std::uint32_t end = r.start;
        const std::uint32_t have = input_end();
        while (have - end >= kHeaderSize && payload_length(m_.input + end) <= kPayloadMax &&
               have - end >= kHeaderSize + payload_length(m_.input + end))
            end += static_cast<std::uint32_t>(kHeaderSize) + payload_length(m_.input + end);
        put_input(r.start, end, r.first);
    }
    if (!transport_.settle_send(m_.out[m_.output_active].msg)) {
        // The rest of a message whose beginning nobody has.
        const std::uint32_t total = m_.out[m_.output_active].total, gone = sent();
        std::uint32_t at = 0;
        while (at < gone)
            at += static_cast<std::uint32_t>(kHeaderSize) + payload_length(m_.output + at);
        put_output(total, at, last());
    }
}

} // namespace xsgit::server
