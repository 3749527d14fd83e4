// SPDX-License-Identifier: MIT
// Plain reads; who uses them has a buffer.
#include "bisect/record/input.hpp"

#include "xsgit/base/escape.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdexcept>
#include <system_error>

namespace xsgit::record {

Input::Input(const std::string &path)
    : name_(path == "-" ? "standard input" : escape(path)),
      fd_(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC))
{
    if (!fd_)
        throw std::runtime_error(
            fmt::format("cannot open {}: {}", name_, std::generic_category().message(errno)));
}

std::function<std::size_t(char *, std::size_t)> Input::source()
{
    return [this](char *to, std::size_t n) {
        ssize_t got;
        do
            got = ::read(fd_.get(), to, n);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            throw std::runtime_error(
                fmt::format("cannot read {}: {}", name_, std::generic_category().message(errno)));
        return static_cast<std::size_t>(got);
    };
}

} // namespace xsgit::record
