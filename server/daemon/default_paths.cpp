// SPDX-License-Identifier: MIT
#include "server/daemon/default_paths.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fmt/core.h>
#include <linux/magic.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::server {

namespace {

std::string environment(const char *name)
{
    const char *value = std::getenv(name);
    return value ? value : "";
}

} // namespace

std::string default_repository()
{
    if (geteuid() == 0)
        return "/run/xsgit/store.git";
    const std::string runtime = environment("XDG_RUNTIME_DIR");
    return runtime.empty() ? fmt::format("/dev/shm/xsgit-{}/store.git", geteuid())
                           : runtime + "/xsgit/store.git";
}

std::string default_socket()
{
    if (const std::string path = environment("XENSTORED_PATH"); !path.empty())
        return path;
    if (const std::string dir = environment("XENSTORED_RUNDIR"); !dir.empty())
        return dir + "/socket";
    return "/run/xenstored/socket";
}

std::string absolute_path(const std::string &path)
{
    if (!path.empty() && path[0] == '/')
        return path;
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here))
        throw std::runtime_error("the current directory is gone; use absolute paths");
    return std::string(here) + "/" + path;
}

void make_directory(const std::string &path, unsigned mode, bool private_to_us)
{
    const std::size_t slash = path.rfind('/');
    struct stat st {};
    if (slash != 0 && slash != std::string::npos && stat(path.substr(0, slash).c_str(), &st) != 0)
        make_directory(path.substr(0, slash), 0755, false);
    if (mkdir(path.c_str(), mode) == 0)
        (void)chmod(path.c_str(), mode); // whatever the umask says
    else if (errno != EEXIST)
        throw std::runtime_error(
            fmt::format("cannot make the directory {}: {}; make it, or choose another with an option", path,
                        std::generic_category().message(errno)));
    if (stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
        throw std::runtime_error(path + " is not a directory");
    if (private_to_us && st.st_uid != geteuid())
        throw std::runtime_error(
            fmt::format("{} belongs to user {}; choose another directory with --repo", path, st.st_uid));
}

bool on_tmpfs(const std::string &path)
{
    struct statfs fs {};
    return statfs(path.c_str(), &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

} // namespace xsgit::server
