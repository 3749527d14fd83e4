// SPDX-License-Identifier: MIT
#include "server/daemon/pid_file.hpp"

#include "server/daemon/unique_fd.hpp"

#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>

namespace xsgit::server {

bool write_pid_file(const std::string &path, pid_t pid)
{
    const std::string fresh = path + ".new", text = fmt::format("{}\n", pid);
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           rename(fresh.c_str(), path.c_str()) == 0;
}

} // namespace xsgit::server
