// SPDX-License-Identifier: MIT
// The header page of a journal file, as it is mapped. Private to the journal.
#pragma once

#include "xsgit/journal/journal.hpp"

#include <atomic>
#include <cstddef>

namespace xsgit {

inline constexpr std::size_t kJournalHeader = 4096;
inline constexpr std::size_t kJournalMin = 1u << 20;
/// Layout of the page; records have a version of their own.
inline constexpr std::uint32_t kJournalVersion = 1;

/// The reader's futex word.
enum : std::uint32_t { kReaderAwake = 0, kReaderAsleep = 1, kReaderWoken = 2 };

struct Journal::Map {
    struct Fixed {
        char magic[8];
        std::uint32_t journal_version;
        std::uint32_t record_version;
        std::uint64_t capacity;
        std::uint64_t checksum; // XXH3-64 of the 24 bytes before
    };
    alignas(64) Fixed fixed;
    alignas(64) PositionCell head; // written by the appender
    alignas(64) PositionCell tail; // written by the reader
    alignas(64) std::atomic<std::uint32_t> reader;
};

} // namespace xsgit
