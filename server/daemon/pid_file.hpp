// SPDX-License-Identifier: MIT
// "<pid>\n", replaced as a whole, so that a reader never sees half of it.
#pragma once

#include <string>
#include <sys/types.h>

namespace xsgit::server {

/// False with errno on failure.
bool write_pid_file(const std::string &path, pid_t pid);
/// With what a writer has left that died on the way.
void remove_pid_file(const std::string &path) noexcept;

} // namespace xsgit::server
