// SPDX-License-Identifier: MIT
// Sleeping and waking: the reader's futex word in the header page. A shared futex on the
// mapped file, since reader and appender need not be one process.
#include "xsgit/base/clock.hpp"
#include "xsgit/journal/journal_map.hpp"

#include <algorithm>
#include <cassert>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace xsgit {

namespace {

constexpr std::int64_t kPollUs = 2000;

timespec span(std::int64_t us) noexcept
{
    timespec t;
    t.tv_sec = us / 1'000'000;
    t.tv_nsec = us % 1'000'000 * 1000;
    return t;
}

void futex_wait(std::atomic<std::uint32_t> *word, std::uint32_t value, std::int64_t us) noexcept
{
    const timespec t = span(us);
    ::syscall(SYS_futex, word, FUTEX_WAIT, value, &t, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t> *word) noexcept
{
    ::syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

} // namespace

/// The appender's: leaves a kReaderWoken alone, which is for the next wait().
void Journal::end_sleep() const noexcept
{
    std::uint32_t asleep = kReaderAsleep;
    if (map_->reader.compare_exchange_strong(asleep, kReaderAwake))
        futex_wake(&map_->reader);
}

void Journal::wake() const noexcept
{
    assert(!read_only_);
    if (map_->reader.exchange(kReaderWoken) == kReaderAsleep)
        futex_wake(&map_->reader);
}

void Journal::wait(Position seen, std::int64_t timeout_us) const noexcept
{
    // A far end must not overflow; a day is as good as any longer time.
    const std::int64_t end = monotonic_us() + std::clamp<std::int64_t>(timeout_us, 0, 86'400'000'000);
    if (read_only_) {
        for (std::int64_t left = end - monotonic_us(); left > 0 && head() == seen;
             left = end - monotonic_us()) {
            const timespec t = span(std::min(left, kPollUs));
            ::nanosleep(&t, nullptr);
        }
        return;
    }
    // A word left by a reader that was killed asleep is as good as ours.
    if (map_->reader.exchange(kReaderAsleep) != kReaderWoken)
        for (std::int64_t left = end - monotonic_us(); left > 0 && head() == seen;
             left = end - monotonic_us()) {
            futex_wait(&map_->reader, kReaderAsleep, left);
            if (map_->reader.load() != kReaderAsleep)
                break;
        }
    // A wake() that arrives up to here ends this wait; after it, the next one.
    map_->reader.exchange(kReaderAwake);
}

} // namespace xsgit
