// SPDX-License-Identifier: MIT
// Places where a process may be killed, for tests that prove that it may be killed there. Only in a build with
// -Dcrash_points=true; elsewhere XSGIT_CRASH_POINT is nothing.
//
// XSGIT_CRASH_FILE names a file of CrashTable. Every program of such a build enters all its points there when it
// starts, counts each time it passes one, and kills itself with SIGKILL at the count that the test has put there.
#pragma once

#ifdef XSGIT_CRASH_POINTS

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace xsgit {

/// The file, in the byte order of the machine; shared by all processes and the test.
struct CrashTable {
    static constexpr std::size_t kMost = 256, kNameSize = 48;
    struct Entry {
        char name[kNameSize]; // ends with NUL; empty: free
        std::atomic<std::uint64_t> passed;
        std::atomic<std::uint64_t> kill_at; // value of `passed`; 0: never
    };
    Entry entries[kMost];
};

class CrashPoint {
public:
    explicit CrashPoint(const char *name) noexcept;
    void pass() noexcept;

private:
    CrashTable::Entry *entry_; // null: XSGIT_CRASH_FILE is not set
};

template <std::size_t N>
struct CrashName {
    char text[N];
    constexpr CrashName(const char (&t)[N]) { std::copy_n(t, N, text); }
};

/// One per name, entered before main() begins, so that a point that is never passed is known, too.
template <CrashName kName>
inline CrashPoint crash_point{kName.text};

} // namespace xsgit

#define XSGIT_CRASH_POINT(name) ::xsgit::crash_point<name>.pass()

#else

#define XSGIT_CRASH_POINT(name) static_cast<void>(0)

#endif
