// SPDX-License-Identifier: MIT
// One connection's mapped memory: buffered requests in, messages being sent out. Frames
// messages and nothing more; what they mean is the engine's business. Every call leaves the
// memory in a state from which a successor continues exactly where the streams are.
#pragma once

#include "server/daemon/slot_format.hpp"
#include "server/daemon/transport.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <string_view>

namespace xsgit::server {

class Slot {
public:
    /// Borrows both. `memory` was prepared by reset(), now or in an earlier life.
    Slot(SlotMemory &memory, Transport &transport) noexcept : m_(memory), transport_(transport) {}

    /// Makes `memory` an empty slot.
    static void reset(SlotMemory &memory, std::uint32_t domid, std::string_view facts) noexcept;

    /// For a successor, before any other call: finds out how far the transfers got that a death has interrupted.
    void settle() noexcept;

    // ---- identity ----------------------------------------------------------
    std::uint64_t conn() const noexcept { return m_.conn; }
    void set_conn(std::uint64_t conn) noexcept;
    std::string_view facts() const noexcept { return m_.facts; }
    /// Nothing has come in yet, and nothing went out.
    bool untouched() const noexcept;

    // ---- input -------------------------------------------------------------
    enum class Frame { Partial, Complete, TooLong };
    /// What lies at the front of the input.
    Frame frame() const noexcept;
    /// The request at the front, header and payload; precondition: Complete. Valid until consume().
    std::string_view request() const noexcept;
    /// Its number within this connection, from 1.
    std::uint64_t request_number() const noexcept { return m_.in[m_.input_active].first; }
    void consume() noexcept;
    enum class Receive { Data, Empty, End, Broken }; // Broken: the other side broke the rules
    /// One transfer; precondition: Partial, so there is always room.
    Receive receive() noexcept;

    /// Which request was being executed when an earlier life ended; number 0: none. Blame is
    /// what earlier deaths in the same request have added.
    struct Executing {
        std::uint64_t number = 0;
        unsigned blame = 0;
    };
    Executing executing() const noexcept { return {m_.executing >> 8, unsigned(m_.executing & 0xff)}; }
    void set_executing(Executing e) noexcept;

    // ---- output ------------------------------------------------------------
    /// Nothing of the current batch is left to send.
    bool idle() const noexcept;
    /// Where to put whole messages for start_batch(); precondition: idle().
    char *buffer() noexcept { return m_.output; }
    static constexpr std::size_t buffer_size() noexcept { return kSlotOutput; }
    enum class Send { Done, Full, Gone, Broken };
    /// Makes buffer()[0, total) the current batch and sends what the other side takes.
    Send start_batch(std::size_t total, OutputName last) noexcept;
    /// Continues with the current batch.
    Send send() noexcept;
    /// Replies of the current batch that are not sent completely.
    std::size_t unsent_replies() const noexcept;
    /// Last message ever given to start_batch(): it and those before need not be made again.
    OutputName last() const noexcept;
    /// After settle(), where the journal has lost its end: events behind `newest` will be others.
    void forget_after(std::uint64_t newest) noexcept;

private:
    std::uint32_t input_end() const noexcept;
    std::uint32_t sent() const noexcept;
    void put_input(std::uint32_t start, std::uint32_t end, std::uint64_t first) noexcept;
    void put_output(std::uint32_t total, std::uint32_t sent, OutputName last) noexcept;
    Send transfer() noexcept;

    SlotMemory &m_;
    Transport &transport_;
};

} // namespace xsgit::server
