// SPDX-License-Identifier: MIT
#include "server/daemon/log.hpp"
#include "server/daemon/notify.hpp"
#include "server/daemon/unique_fd.hpp"
#include "tests/unit/daemon/temp_dir.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

using namespace xsgit::server;

TEST_CASE("of one kind of message the first ten are written, others still are")
{
    const TempDir dir;
    const std::string file = dir / "err";
    const UniqueFd out(open(file.c_str(), O_RDWR | O_CREAT | O_APPEND, 0600)), before(dup(2));
    dup2(out.get(), 2);
    Log log(Log::Target::Stderr);
    for (int i = 0; i < 1000; ++i)
        log.warning("flood", "too many");
    log.error("other", "important");
    dup2(before.get(), 2);
    std::string text(100000, '\0');
    text.resize(static_cast<std::size_t>(pread(out.get(), text.data(), text.size(), 0)));
    CHECK(std::count(text.begin(), text.end(), '\n') == 11);
    CHECK(text.find("xenstored: important\n") != std::string::npos);
}

TEST_CASE("the service manager hears what it is told")
{
    const TempDir dir;
    const UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir / "notify";
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(bind(manager.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    unsetenv("NOTIFY_SOCKET");
    notify_service_manager("READY=1\n"); // nobody listens: nothing happens
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify_service_manager("MAINPID=12\n");
    unsetenv("NOTIFY_SOCKET");
    char text[64];
    const ssize_t n = recv(manager.get(), text, sizeof text, MSG_DONTWAIT);
    REQUIRE(n > 0);
    CHECK(std::string(text, static_cast<std::size_t>(n)) == "MAINPID=12\n");
}
