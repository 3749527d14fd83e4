// SPDX-License-Identifier: MIT
#include "xsgit/git/pack_dir.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <memory>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace xsgit {

namespace {

constexpr std::string_view kTemporary = "xsgit_tmp_";
constexpr std::uint64_t kPage = 4096;

[[noreturn]] void throw_errno(const std::string &what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

struct CloseDir {
    void operator()(DIR *d) const noexcept { closedir(d); }
};

/// Calls `each(name)` for all names but those that begin with a dot; false if there is no such directory.
template <class F>
bool for_each_name(const std::string &path, F each)
{
    const std::unique_ptr<DIR, CloseDir> dir(opendir(path.c_str()));
    if (!dir) {
        if (errno == ENOENT || errno == ENOTDIR)
            return false;
        throw_errno("cannot list " + path);
    }
    while (const dirent *e = readdir(dir.get())) {
        if (e->d_name[0] != '.')
            each(e->d_name);
    }
    return true;
}

std::string read_small(int dir, const std::string &name)
{
    const Fd fd(openat(dir, name.c_str(), O_RDONLY | O_CLOEXEC));
    char text[128];
    const ssize_t n = fd.get() < 0 ? 0 : read(fd.get(), text, sizeof text);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

bool take(std::string_view &text, std::string_view prefix)
{
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

bool take(std::string_view &text, std::uint32_t &number)
{
    const auto r = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(r.ptr - text.data()));
    return r.ec == std::errc{};
}

std::string pack_file(const std::string &name, const char *suffix) { return "pack-" + name + suffix; }

} // namespace

Fd &Fd::operator=(Fd &&o) noexcept
{
    std::swap(fd_, o.fd_);
    return *this;
}

Fd::~Fd()
{
    if (fd_ >= 0)
        close(fd_);
}

TempFile::TempFile(int dir, std::string name)
    : fd_(openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444)), dir_(dir)
{
    if (fd_.get() < 0)
        throw_errno("cannot create " + name);
    name_ = std::move(name);
}

TempFile::TempFile(TempFile &&o) noexcept
    : fd_(std::move(o.fd_)), dir_(o.dir_), name_(std::exchange(o.name_, {})), bytes_(o.bytes_)
{
}

TempFile::~TempFile()
{
    if (!name_.empty())
        unlinkat(dir_, name_.c_str(), 0);
}

void TempFile::write(std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            throw_errno("cannot write a pack of the repository");
        bytes_ += static_cast<std::uint64_t>(n);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

void TempFile::rename(const std::string &name)
{
    if (renameat(dir_, name_.c_str(), dir_, name.c_str()) != 0)
        throw_errno("cannot rename " + name_ + " to " + name);
    name_.clear();
}

void TempFile::set_time(std::int64_t ns) noexcept
{
    const timespec t{ns / 1'000'000'000, ns % 1'000'000'000};
    const timespec times[2] = {t, t};
    futimens(fd_.get(), times); // only an order: its loss costs a few bytes in merges
}

std::string PackMark::text() const { return fmt::format("xsgit epoch {} tier {}\n", epoch, tier); }

std::optional<PackMark> PackMark::parse(std::string_view text)
{
    PackMark m;
    if (take(text, "xsgit epoch ") && take(text, m.epoch) && take(text, " tier ") && take(text, m.tier) &&
        text == "\n")
        return m;
    return std::nullopt;
}

std::uint64_t disk_bytes(std::uint64_t size) noexcept { return (size + kPage - 1) / kPage * kPage; }

std::string_view pack_name_of(std::string_view file, std::string_view suffix) noexcept
{
    if (!file.starts_with("pack-") || file.size() < 45 || !file.ends_with(suffix))
        return {};
    const std::string_view name = file.substr(5, 40);
    const bool digits = std::all_of(name.begin(), name.end(),
                                    [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    const std::string_view rest = file.substr(45);
    return digits && (suffix.empty() ? rest.starts_with('.') : rest == suffix) ? name : std::string_view();
}

PackDir::PackDir(std::string objects_dir) : objects_(std::move(objects_dir)), path_(objects_ + "/pack")
{
    if (mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST)
        throw_errno("cannot make " + path_);
    fd_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd_.get() < 0)
        throw_errno("cannot open " + path_);
}

bool PackDir::unlink(const std::string &file) noexcept { return unlinkat(fd(), file.c_str(), 0) == 0; }

std::vector<PackDir::Found> PackDir::recover()
{
    std::vector<std::string> stale, keeps;
    for_each_name(path_, [&](std::string_view file) {
        if (file.starts_with(kTemporary))
            stale.emplace_back(file);
        else if (const auto name = pack_name_of(file, ".keep"); !name.empty())
            keeps.emplace_back(name);
    });
    for (const std::string &file : stale)
        unlink(file);

    std::vector<Found> found;
    for (const std::string &name : keeps) {
        const auto mark = PackMark::parse(read_small(fd(), pack_file(name, ".keep")));
        if (!mark)
            continue; // somebody else's
        struct stat pack {
        }, index{};
        if (fstatat(fd(), pack_file(name, ".pack").c_str(), &pack, 0) != 0 ||
            fstatat(fd(), pack_file(name, ".idx").c_str(), &index, 0) != 0) {
            remove(name);
            continue;
        }
        const auto bytes = [](const struct stat &st) {
            return disk_bytes(static_cast<std::uint64_t>(st.st_size));
        };
        found.push_back({name, *mark, bytes(pack) + bytes(index) + kPage,
                         std::int64_t{pack.st_mtim.tv_sec} * 1'000'000'000 + pack.st_mtim.tv_nsec});
    }
    std::sort(found.begin(), found.end(), [](const Found &a, const Found &b) {
        return a.time != b.time ? a.time < b.time : a.name < b.name;
    });
    return found;
}

TempFile PackDir::temporary()
{
    // The number in the process, and the process: nobody else writes here while we live.
    static std::atomic<std::uint64_t> last{0};
    return TempFile(fd(), fmt::format("{}{}_{}", kTemporary, getpid(), ++last));
}

void PackDir::install(const std::string &name, const PackMark &mark, TempFile &pack, TempFile &index)
{
    TempFile keep = temporary();
    keep.write(mark.text());
    XSGIT_CRASH_POINT("pack.written");
    keep.rename(pack_file(name, ".keep"));
    XSGIT_CRASH_POINT("pack.keep");
    try {
        pack.rename(pack_file(name, ".pack"));
        XSGIT_CRASH_POINT("pack.pack");
        index.rename(pack_file(name, ".idx"));
        XSGIT_CRASH_POINT("pack.idx");
    } catch (...) {
        if (faccessat(fd(), pack_file(name, ".idx").c_str(), F_OK, 0) != 0)
            remove(name);
        throw;
    }
}

bool PackDir::is_whole(const std::string &name) const noexcept
{
    const auto there = [&](const char *suffix) {
        return faccessat(fd(), pack_file(name, suffix).c_str(), F_OK, 0) == 0;
    };
    return there(".pack") && there(".idx");
}

Fd PackDir::remove(const std::string &name) noexcept
{
    // Git's, which name objects that go; it makes them anew.
    for (const char *stale :
         {"multi-pack-index", "../info/commit-graph", "../info/commit-graphs/commit-graph-chain"})
        unlink(stale);
    Fd bytes(openat(fd(), pack_file(name, ".pack").c_str(), O_RDONLY | O_CLOEXEC));
    for (const char *suffix : {".idx", ".rev", ".bitmap", ".pack", ".keep"}) {
        unlink(pack_file(name, suffix));
        XSGIT_CRASH_POINT("pack.unlinked");
    }
    return bytes;
}

PackDir::Names PackDir::list() const
{
    Names names;
    for_each_name(path_, [&](const char *file) {
        struct stat st {};
        if (!std::string_view(file).starts_with(kTemporary) &&
            fstatat(fd(), file, &st, AT_SYMLINK_NOFOLLOW) == 0)
            names.emplace(file, disk_bytes(static_cast<std::uint64_t>(st.st_size)));
    });
    return names;
}

std::uint64_t PackDir::loose_bytes() const
{
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < 256; ++i) {
        const std::string path = fmt::format("{}/{:02x}", objects_, i);
        for_each_name(path, [&](const char *file) {
            struct stat st {};
            if (lstat((path + '/' + file).c_str(), &st) == 0)
                bytes += disk_bytes(static_cast<std::uint64_t>(st.st_size));
        });
    }
    return bytes;
}

} // namespace xsgit
