// SPDX-License-Identifier: MIT
// A place for a socket that only this user can reach, gone when this is.
#pragma once

#include <string>

namespace xsgit::bisect {

class PrivateSocket {
public:
    /// Makes a directory (0700) in $TMPDIR, or in /tmp if that makes the path too long for a socket's address. Throws
    /// std::runtime_error.
    PrivateSocket();
    ~PrivateSocket();
    PrivateSocket(const PrivateSocket &) = delete;

    /// As Xen's clients look for it: $XENSTORED_RUNDIR is `directory`, $XENSTORED_PATH is `path`.
    const std::string &directory() const noexcept { return directory_; }
    const std::string &path() const noexcept { return path_; }

private:
    std::string directory_, path_;
};

} // namespace xsgit::bisect
