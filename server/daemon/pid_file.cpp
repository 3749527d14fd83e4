// SPDX-License-Identifier: MIT
#include "server/daemon/pid_file.hpp"

#include "server/daemon/unique_fd.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>

namespace xsgit::server {

namespace {

std::string fresh_name(const std::string &path) { return path + ".new"; }

} // namespace

bool write_pid_file(const std::string &path, pid_t pid)
{
    const std::string fresh = fresh_name(path), text = fmt::format("{}\n", pid);
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        rename(fresh.c_str(), path.c_str()) == 0)
        return true;
    const int error = errno;
    unlink(fresh.c_str());
    errno = error;
    return false;
}

void remove_pid_file(const std::string &path) noexcept
{
    unlink(path.c_str());
    unlink(fresh_name(path).c_str()); // of a keeper that died while it wrote
}

} // namespace xsgit::server
