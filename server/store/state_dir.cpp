// SPDX-License-Identifier: MIT
#include "server/store/state_dir.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace fs = std::filesystem;

namespace xsgit::server {
namespace {

[[noreturn]] void throw_errno(const std::string &what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

StatePaths::StatePaths(const std::string &r)
    : repo(r), dir(r + "/xsgit"), format(dir + "/format"), journal(dir + "/journal"),
      checkpoint(dir + "/checkpoint"), checkpoint_old(checkpoint + ".old"), epochs(dir + "/epochs")
{
}

std::string read_file(const std::string &path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return {};
    std::string out;
    char buffer[65536];
    ssize_t n;
    while ((n = ::read(fd, buffer, sizeof buffer)) > 0)
        out.append(buffer, static_cast<std::size_t>(n));
    ::close(fd);
    return out;
}

void replace_file(const std::string &path, const std::string &content)
{
    const std::string temporary = path + ".tmp";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        throw_errno("writing " + temporary);
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
        if (n < 0) {
            const int e = errno;
            ::close(fd);
            ::unlink(temporary.c_str());
            errno = e;
            throw_errno("writing " + temporary);
        }
        done += static_cast<std::size_t>(n);
    }
    ::close(fd);
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        throw_errno("renaming " + temporary);
}

StoreKind look_at(const StatePaths &paths, const std::string &boot_id)
{
    std::error_code none;
    const bool there = fs::exists(fs::symlink_status(paths.repo, none));
    if (!there)
        return StoreKind::Absent;
    if (!fs::is_directory(paths.repo, none))
        return StoreKind::Foreign;
    if (!fs::is_directory(paths.dir, none)) {
        const fs::directory_iterator it(paths.repo, none);
        return !none && it == fs::directory_iterator() ? StoreKind::Absent : StoreKind::Foreign;
    }
    const std::string format = read_file(paths.format);
    if (format.empty()) {
        // Only what a start leaves that died before it had made anything: lock, socket.
        return fs::exists(paths.repo + "/HEAD", none) || fs::exists(paths.journal, none) ? StoreKind::Unknown
                                                                                         : StoreKind::Absent;
    }
    const std::string first = "xsgit " + std::to_string(kFormat) + "\nboot ";
    if (format.compare(0, first.size(), first) != 0)
        return StoreKind::Unknown;
    return format == first + boot_id + "\n" ? StoreKind::Ours : StoreKind::OtherBoot;
}

void write_format(const StatePaths &paths, const std::string &boot_id)
{
    replace_file(paths.format, "xsgit " + std::to_string(kFormat) + "\nboot " + boot_id + "\n");
}

std::string set_aside(const StatePaths &paths, const std::string &why)
{
    const std::string target = paths.repo + "." + why;
    const std::string kind = paths.repo + "." + why.substr(0, why.find('-') + 1);
    std::error_code ignored;
    const fs::path parent = fs::path(paths.repo).has_parent_path() ? fs::path(paths.repo).parent_path() : ".";
    for (const auto &entry : fs::directory_iterator(parent, ignored)) {
        const std::string name = (parent / entry.path().filename()).string();
        if (name.compare(0, kind.size(), kind) == 0)
            fs::remove_all(entry.path(), ignored);
    }
    if (::rename(paths.repo.c_str(), target.c_str()) != 0)
        throw_errno("setting aside " + paths.repo + " as " + target);
    // The running keeper's lock and socket belong to the directory in use.
    if (::mkdir(paths.repo.c_str(), 0700) != 0 || ::mkdir(paths.dir.c_str(), 0700) != 0)
        throw_errno("making " + paths.dir);
    for (const char *name : {"/lock", "/keeper.sock", "/slots"})
        ::rename((target + "/xsgit" + name).c_str(), (paths.dir + name).c_str());
    return target;
}

std::uint64_t default_budget(const std::string &path)
{
    struct statvfs v = {};
    std::uint64_t budget = 256u << 20;
    if (::statvfs(path.c_str(), &v) == 0)
        budget = std::min<std::uint64_t>(budget, static_cast<std::uint64_t>(v.f_blocks) * v.f_frsize / 2);
    return budget;
}

} // namespace xsgit::server
