// SPDX-License-Identifier: MIT
#include "server/daemon/slot.hpp"

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
    if (const int error = transport_.receive(r.msg))
        return error == EAGAIN ? Receive::Empty : Receive::End;
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

Slot::Send Slot::put_output(std::uint32_t total, std::uint32_t sent, OutputName last) noexcept
{
    const std::uint32_t other = m_.output_active ^ 1;
    OutputRecord &r = m_.out[other];
    r.total = total;
    r.sent = sent;
    r.last_event = last.event;
    r.last_index = last.index;
    prepare(r.msg, r.iov, m_.output + sent, total - sent);
    publish(m_.output_active, other);
    if (const int error = transport_.send(r.msg))
        return error == EAGAIN ? Send::Full : Send::Gone;
    return idle() ? Send::Done : Send::Full;
}

Slot::Send Slot::start_batch(std::size_t total, OutputName last) noexcept
{
    assert(idle() && total > 0 && total <= kSlotOutput);
    return put_output(static_cast<std::uint32_t>(total), 0, last);
}

Slot::Send Slot::send() noexcept
{
    if (idle())
        return Send::Done;
    const OutputRecord &r = m_.out[m_.output_active];
    return put_output(r.total, sent(), last());
}

} // namespace xsgit::server
