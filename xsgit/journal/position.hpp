// SPDX-License-Identifier: MIT
// A place in the journal, and a cell of shared memory that holds one: its two words change
// together for every other thread and process, also when the writer is killed half-way.
#pragma once

#include <atomic>
#include <cstdint>

namespace xsgit {

struct JournalPosition {
    std::uint64_t offset = 0; // only grows; place in the ring = offset % capacity
    std::uint64_t number = 1; // of the event there
    friend bool operator==(const JournalPosition &, const JournalPosition &) = default;
};

/// Two copies, and a word that says which one is valid: odd or even `turn`. The writer fills
/// the other copy, then moves `turn`. One writer at a time, any number of readers. All zero is
/// a valid cell: {0, 0}. 40 bytes, the layout is part of the journal's format.
class PositionCell {
public:
    JournalPosition load() const noexcept
    {
        for (;;) {
            const std::uint64_t turn = turn_.load(std::memory_order_seq_cst);
            const Copy &c = copies_[turn & 1];
            // Acquire: if one of these was written for turn + 2, then the second look at
            // `turn` sees at least turn + 1.
            const JournalPosition p{c.offset.load(std::memory_order_acquire),
                                    c.number.load(std::memory_order_acquire)};
            if (turn_.load(std::memory_order_relaxed) == turn)
                return p;
        }
    }

    /// Sequentially consistent, so that the journal's appender may look for a sleeping reader
    /// right after it.
    void store(JournalPosition p) noexcept
    {
        const std::uint64_t turn = turn_.load(std::memory_order_relaxed) + 1;
        Copy &c = copies_[turn & 1];
        c.offset.store(p.offset, std::memory_order_release);
        c.number.store(p.number, std::memory_order_release);
        turn_.store(turn, std::memory_order_seq_cst);
    }

private:
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == 8);
    struct Copy {
        Word offset, number;
    };
    Word turn_;
    Copy copies_[2];
};

static_assert(sizeof(PositionCell) == 40);

} // namespace xsgit
