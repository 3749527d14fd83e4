// SPDX-License-Identifier: MIT
#include "server/daemon/descriptors.hpp"

#include "server/daemon/slot_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

namespace xsgit::server {

namespace {

std::vector<int> all_numbers()
{
    rlimit files{};
    std::vector<int> out;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        for (int fd = 0; fd < static_cast<int>(std::min<rlim_t>(files.rlim_cur, 1u << 20)); ++fd)
            if (fcntl(fd, F_GETFD) >= 0)
                out.push_back(fd);
    return out;
}

std::vector<int> open_descriptors()
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir && errno == EMFILE)
        return all_numbers(); // no descriptor is left for looking
    if (!dir)
        throw std::system_error(errno, std::generic_category(),
                                "cannot read /proc/self/fd; is /proc mounted?");
    std::vector<int> out;
    while (const dirent *e = readdir(dir))
        if (e->d_name[0] != '.' && std::atoi(e->d_name) != dirfd(dir))
            out.push_back(std::atoi(e->d_name));
    closedir(dir);
    return out;
}

bool accepted_by(int fd, int listen_fd)
{
    sockaddr_un mine{}, its{};
    socklen_t mine_size = sizeof mine, its_size = sizeof its;
    int listening = 0;
    socklen_t flag_size = sizeof listening;
    return getsockname(listen_fd, reinterpret_cast<sockaddr *>(&mine), &mine_size) == 0 &&
           getsockname(fd, reinterpret_cast<sockaddr *>(&its), &its_size) == 0 && its.sun_family == AF_UNIX &&
           its_size == mine_size && std::memcmp(&its, &mine, mine_size) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_size) == 0 && !listening;
}

} // namespace

std::vector<int> close_leftovers(std::vector<int> keep, const std::string &slots, int listen_fd)
{
    for (const SlotFd &s : read_slot_fds(slots))
        if (s.cookie != 0 && socket_cookie(s.fd) == s.cookie)
            keep.push_back(s.fd);
    std::sort(keep.begin(), keep.end());
    std::vector<int> orphans;
    for (const int fd : open_descriptors()) {
        if (fd <= 2 || std::binary_search(keep.begin(), keep.end(), fd))
            continue;
        if (accepted_by(fd, listen_fd))
            orphans.push_back(fd);
        else
            ::close(fd);
    }
    return orphans;
}

} // namespace xsgit::server
