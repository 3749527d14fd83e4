// SPDX-License-Identifier: MIT
#include "bisect/serve/private_socket.hpp"

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::bisect {

namespace {

constexpr char kPattern[] = "/xsgit-past-XXXXXX";
constexpr char kName[] = "/socket";

} // namespace

PrivateSocket::PrivateSocket()
{
    const char *const wanted = std::getenv("TMPDIR");
    directory_ = wanted && *wanted == '/' ? wanted : "/tmp";
    if (directory_.size() + sizeof kPattern + sizeof kName >= sizeof sockaddr_un{}.sun_path)
        directory_ = "/tmp";
    const std::string parent = directory_;
    directory_ += kPattern;
    if (!mkdtemp(directory_.data()))
        throw std::runtime_error("cannot make a directory for a socket in " + parent + ": " +
                                 std::generic_category().message(errno) + "; TMPDIR can name another place");
    path_ = directory_ + kName;
}

PrivateSocket::~PrivateSocket()
{
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
}

} // namespace xsgit::bisect
