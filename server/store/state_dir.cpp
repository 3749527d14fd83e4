// SPDX-License-Identifier: MIT
#include "server/store/state_dir.hpp"

#include "server/store/shortage.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace fs = std::filesystem;

namespace xsgit::server {
namespace {

/// Of <repo>/xsgit: files that belong to a running daemon, whatever it serves.
constexpr std::string_view kHeld[] = {"lock", "writer", "keeper.sock", "slots"};

[[noreturn]] void throw_errno(const std::string &what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

std::string without_slashes(std::string path)
{
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    return path;
}

/// Room for the small files that make more room.
constexpr off_t kReserve = 256 << 10;

/// Whether a directory is one of those that set_aside() makes: "boot-" and an id, "damaged-" and a number.
bool is_set_aside(std::string_view name, std::string_view kind)
{
    if (!name.starts_with(kind))
        return false;
    name.remove_prefix(kind.size());
    const bool boot = kind.find("boot") != kind.npos;
    return boot ? name.size() == 36 && name.find_first_not_of("0123456789abcdef-") == name.npos
                : !name.empty() && name.find_first_not_of("0123456789") == name.npos;
}

/// Whether all in <repo>/xsgit is ours, by name.
bool holds_only_ours(const std::string &dir)
{
    constexpr std::string_view kOurs[] = {"format",  "journal", "checkpoint", "checkpoint.old", "slots",
                                          "epochs",  "lock",    "writer",     "keeper.sock",    "reserve",
                                          "whole.1", "whole.2", "faults"};
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(dir, error)) {
        std::string name = entry.path().filename();
        for (const std::string_view suffix : {".tmp", ".new", ".link", ".broken"})
            if (name.ends_with(suffix))
                name.resize(name.size() - suffix.size());
        if (!name.starts_with("poison-") && !name.starts_with("new.git") &&
            std::find(std::begin(kOurs), std::end(kOurs), name) == std::end(kOurs))
            return false;
    }
    return !error;
}

/// A repository in which nothing but our directory is, or what was set aside.
bool holds_no_git(const std::string &repo)
{
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(repo, error)) {
        const std::string name = entry.path().filename();
        if (name != "xsgit" && !name.starts_with("set-aside."))
            return false;
    }
    return !error;
}

std::string making() { return "xsgit " + std::to_string(kFormat) + "\nmaking\n"; }

/// The entries of the repository, but those a running daemon holds, go into a directory in it: where the repository
/// itself cannot be renamed (a mount point, a parent that is not ours).
std::string set_aside_inside(const StatePaths &paths, const std::string &why)
{
    const fs::path target = fs::path(paths.repo) / ("set-aside." + why);
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(paths.repo, error))
        if (entry.path().filename().string().starts_with("set-aside."))
            fs::remove_all(entry.path(), error);
    fs::create_directories(target / "xsgit");
    for (const auto &entry : fs::directory_iterator(paths.repo))
        if (entry.path().filename() != target.filename() && entry.path().filename() != "xsgit")
            fs::rename(entry.path(), target / entry.path().filename());
    for (const auto &entry : fs::directory_iterator(paths.dir)) {
        const std::string name = entry.path().filename();
        if (std::find(std::begin(kHeld), std::end(kHeld), name) == std::end(kHeld))
            fs::rename(entry.path(), target / "xsgit" / entry.path().filename());
    }
    return target.string();
}

} // namespace

StatePaths::StatePaths(const std::string &r)
    : repo(without_slashes(r)), dir(repo + "/xsgit"), format(dir + "/format"), journal(dir + "/journal"),
      checkpoint(dir + "/checkpoint"), checkpoint_old(checkpoint + ".old"), epochs(dir + "/epochs"),
      reserve(dir + "/reserve"), faults(dir + "/faults"), whole_1(dir + "/whole.1"), whole_2(dir + "/whole.2")
{
}

void keep_reserve(const StatePaths &paths) noexcept
{
    const int fd = ::open(paths.reserve.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return; // it is there
    if (::posix_fallocate(fd, 0, kReserve) != 0)
        ::unlink(paths.reserve.c_str());
    ::close(fd);
}

std::string read_file(const std::string &path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (is_shortage({errno, std::generic_category()}))
            throw_errno("cannot open " + path);
        return {};
    }
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
    XSGIT_CRASH_POINT("file.written");
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
    // Somebody's directory may have one in it that is called xsgit, /run above all. Our format file settles it,
    // whatever lies beside it: a store is never refused for a file that a kill, or somebody, left in it.
    if (!format.starts_with("xsgit ") && !holds_only_ours(paths.dir))
        return StoreKind::Foreign;
    if (format.empty()) {
        if (holds_no_git(paths.repo) && !fs::exists(paths.journal, none))
            return StoreKind::
                Absent; // what a start leaves that died before it had made anything: lock, socket
        return fs::exists(paths.journal, none) ? StoreKind::Unknown : StoreKind::Foreign;
    }
    if (format == making())
        return StoreKind::Absent;
    const std::string first = "xsgit " + std::to_string(kFormat) + "\nboot ";
    if (format.compare(0, first.size(), first) != 0)
        return StoreKind::Unknown;
    return format == first + boot_id + "\n" ? StoreKind::Ours : StoreKind::OtherBoot;
}

void write_making(const StatePaths &paths) { replace_file(paths.format, making()); }

void write_format(const StatePaths &paths, const std::string &boot_id)
{
    replace_file(paths.format, "xsgit " + std::to_string(kFormat) + "\nboot " + boot_id + "\n");
}

std::string set_aside(const StatePaths &paths, const std::string &why)
{
    const std::string target = paths.repo + "." + why;
    const fs::path repo(paths.repo);
    const std::string kind = repo.filename().string() + "." + why.substr(0, why.find('-') + 1);
    std::error_code ignored;
    for (const auto &entry : fs::directory_iterator(repo.parent_path(), ignored))
        if (is_set_aside(entry.path().filename().string(), kind))
            fs::remove_all(entry.path(), ignored);
    // The new directory is made under the other's name, with a running keeper's lock and socket in it, and then the
    // names are swapped: whoever dies here leaves one of the two in its place.
    const std::string in_target = target + "/xsgit/", in_repo = paths.dir + "/";
    if (::mkdir(target.c_str(), 0700) != 0 || ::mkdir(in_target.c_str(), 0700) != 0)
        return set_aside_inside(paths, why);
    for (const std::string_view name : kHeld)
        (void)!::link((in_repo + std::string(name)).c_str(), (in_target + std::string(name)).c_str());
    if (::renameat2(AT_FDCWD, target.c_str(), AT_FDCWD, paths.repo.c_str(), RENAME_EXCHANGE) != 0) {
        fs::remove_all(target, ignored);
        return set_aside_inside(paths, why);
    }
    for (const std::string_view name : kHeld)
        ::unlink((in_target + std::string(name)).c_str());
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
