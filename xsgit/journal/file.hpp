// SPDX-License-Identifier: MIT
// Small helpers for the files of this folder: an owned descriptor, errno as an exception.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace xsgit {

class Fd {
public:
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd &&o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Fd &operator=(Fd &&) = delete;
    ~Fd()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

/// Unlinks a file at the end of a scope, whether it is there or not.
class UnlinkLater {
public:
    explicit UnlinkLater(const std::string &path) : path_(path) {}
    UnlinkLater(const UnlinkLater &) = delete;
    ~UnlinkLater() { ::unlink(path_.c_str()); }

private:
    const std::string path_;
};

[[noreturn]] inline void throw_system(const std::string &what, int error = errno)
{
    throw std::system_error(error, std::generic_category(), what);
}

} // namespace xsgit
