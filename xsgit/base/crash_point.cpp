// SPDX-License-Identifier: MIT
#include "xsgit/base/crash_point.hpp"

#ifdef XSGIT_CRASH_POINTS

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

namespace xsgit {
namespace {

/// The file is made by the test; without it nothing is counted. Its descriptor is closed: the keeper would.
CrashTable *map_table() noexcept
{
    const char *path = std::getenv("XSGIT_CRASH_FILE");
    const int fd = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return nullptr;
    void *p = ::mmap(nullptr, sizeof(CrashTable), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return p == MAP_FAILED ? nullptr : static_cast<CrashTable *>(p);
}

CrashTable *table() noexcept
{
    static CrashTable *const t = map_table();
    return t;
}

/// Several programs may enter the same points at once: a place is claimed by its first character.
CrashTable::Entry *enter(CrashTable &t, const char *name) noexcept
{
    for (CrashTable::Entry &e : t.entries) {
        char expected = 0;
        if (__atomic_compare_exchange_n(&e.name[0], &expected, name[0], false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            std::strncpy(e.name + 1, name + 1, CrashTable::kNameSize - 2);
            return &e;
        }
        if (std::strncmp(e.name, name, CrashTable::kNameSize - 1) == 0)
            return &e;
    }
    std::abort(); // too many points: make the table larger
}

} // namespace

CrashPoint::CrashPoint(const char *name) noexcept : entry_(table() ? enter(*table(), name) : nullptr) {}

void CrashPoint::pass() noexcept
{
    if (!entry_)
        return;
    const std::uint64_t n = entry_->passed.fetch_add(1) + 1;
    if (n == entry_->kill_at.load()) {
        ::kill(::getpid(), SIGKILL);
        for (;;)
            ::pause();
    }
}

} // namespace xsgit

#endif
