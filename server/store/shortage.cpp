// SPDX-License-Identifier: MIT
#include "server/store/shortage.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

namespace xsgit::server {

bool has_spare_descriptors(int count) noexcept
{
    int fds[kSpareDescriptors];
    int have = 0;
    if (const int first = ::eventfd(0, EFD_CLOEXEC); first >= 0)
        for (fds[have++] = first; have < count && have < kSpareDescriptors; ++have)
            if ((fds[have] = ::fcntl(first, F_DUPFD_CLOEXEC, 0)) < 0)
                break;
    for (int i = 0; i < have; ++i)
        ::close(fds[i]);
    return have >= count;
}

void require_spare_descriptors()
{
    if (has_spare_descriptors())
        return;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    throw std::runtime_error(fmt::format(
        "fewer than {} file descriptors are left (the limit is {}): raise it (LimitNOFILE= of the "
        "service, ulimit -n; prlimit --nofile for a process that runs)",
        kSpareDescriptors, files.rlim_cur));
}

bool is_shortage(const std::error_code &e) noexcept
{
    switch (e.value()) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
        return e.category() == std::generic_category() || e.category() == std::system_category();
    default:
        return false;
    }
}

} // namespace xsgit::server
