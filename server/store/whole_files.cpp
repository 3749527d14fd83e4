// SPDX-License-Identifier: MIT
#include "server/store/whole_files.hpp"

#include "server/store/checkpoint.hpp"
#include "server/store/state_dir.hpp"
#include "xsgit/base/crash_point.hpp"
#include "xsgit/journal/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace xsgit::server {
namespace {

constexpr std::string_view kMagic = "xsgitwhl";
constexpr std::uint64_t kMore = 128 << 10; // of the estimate, and a fourth of it
constexpr std::uint64_t kTooMuch = 4;      // times what is wanted

bool write_at(int fd, std::string_view data, std::uint64_t at) noexcept
{
    while (!data.empty()) {
        const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += static_cast<std::uint64_t>(n);
        data.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

struct Header {
    char magic[8];
    std::uint64_t event, length;
};
constexpr std::size_t kHeader = sizeof(Header);

bool write_header(int fd, std::uint64_t event, std::uint64_t length) noexcept
{
    Header h{{}, event, length};
    std::memcpy(h.magic, kMagic.data(), sizeof h.magic);
    return write_at(fd, {reinterpret_cast<const char *>(&h), kHeader}, 0);
}

/// All zero if the file holds nothing.
Header header_of(const std::string &path) noexcept
{
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    Header h{};
    if (!fd || ::pread(fd.get(), &h, kHeader, 0) != static_cast<ssize_t>(kHeader) ||
        std::memcmp(h.magic, kMagic.data(), sizeof h.magic) != 0 || h.length == 0)
        return {};
    return h;
}

/// What is taken for `bytes`: in whole pages, with some room to grow.
std::uint64_t with_more(std::uint64_t bytes) noexcept
{
    constexpr std::uint64_t kPage = 4096;
    return (kHeader + bytes + bytes / 4 + kMore + kPage - 1) / kPage * kPage;
}

} // namespace

WholeFiles::WholeFiles(std::string first, std::string second) : paths_{std::move(first), std::move(second)}
{
    for (std::size_t i = 0; i < 2; ++i) {
        struct stat st {};
        if (::stat(paths_[i].c_str(), &st) != 0)
            continue;
        room_[i] =
            std::min(static_cast<std::uint64_t>(st.st_size), static_cast<std::uint64_t>(st.st_blocks) * 512);
        // Not by the header alone: the other one must not be overwritten for one that cannot be read.
        if (event_of(paths_[i]) != 0)
            event_[i] = checkpoint_event(read(paths_[i])).value_or(0);
    }
}

bool WholeFiles::reserve(std::uint64_t bytes) noexcept { return reserve(0, bytes) && reserve(1, bytes); }

bool WholeFiles::reserve(std::size_t i, std::uint64_t bytes) noexcept
{
    if (room_[i] >= kHeader + bytes + bytes / 8 + kMore / 2) // half of what is taken more
        return true;
    const std::uint64_t wanted = with_more(bytes);
    const Fd fd(::open(paths_[i].c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        return false;
    if (::posix_fallocate(fd.get(), 0, static_cast<off_t>(wanted)) != 0) {
        // What it has taken on the way would be missing elsewhere.
        (void)!::ftruncate(fd.get(), static_cast<off_t>(room_[i]));
        return room_[i] >= kHeader + bytes;
    }
    room_[i] = wanted;
    return true;
}

void WholeFiles::shrink(std::uint64_t bytes) noexcept
{
    const std::uint64_t wanted = with_more(bytes);
    for (std::size_t i = 0; i < 2; ++i)
        if (room_[i] > kTooMuch * wanted && event_[i] == 0 &&
            ::truncate(paths_[i].c_str(), static_cast<off_t>(wanted)) == 0)
            room_[i] = wanted;
}

bool WholeFiles::write(std::uint64_t event, std::string_view data) noexcept
{
    const std::size_t i = event_[0] <= event_[1] ? 0 : 1;
    if (kHeader + data.size() > room_[i])
        return false;
    const Fd fd(::open(paths_[i].c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || static_cast<std::uint64_t>(st.st_size) < room_[i]) {
        room_[i] = 0; // somebody has removed or cut it
        return false;
    }
    event_[i] = 0;
    if (!write_header(fd.get(), 0, 0))
        return false;
    XSGIT_CRASH_POINT("whole.begun");
    if (!write_at(fd.get(), data, kHeader) || !write_header(fd.get(), event, data.size()))
        return false;
    XSGIT_CRASH_POINT("whole.done");
    event_[i] = event;
    return true;
}

void WholeFiles::clear() noexcept
{
    for (std::size_t i = 0; i < 2; ++i)
        if (std::exchange(event_[i], 0) != 0)
            if (const Fd fd(::open(paths_[i].c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)); fd)
                write_header(fd.get(), 0, 0);
}

std::uint64_t WholeFiles::event_of(const std::string &path) noexcept { return header_of(path).event; }

std::string WholeFiles::read(const std::string &path)
{
    const Header h = header_of(path);
    std::string data = h.length == 0 ? std::string() : read_file(path);
    if (h.length == 0 || data.size() < kHeader || data.size() - kHeader < h.length)
        return {};
    data.erase(0, kHeader);
    data.resize(h.length);
    return data;
}

} // namespace xsgit::server
