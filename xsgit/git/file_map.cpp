// SPDX-License-Identifier: MIT
#include "xsgit/git/file_map.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace xsgit {

FileMap::FileMap(FileMap &&o) noexcept : bytes_(std::exchange(o.bytes_, {})) {}

FileMap &FileMap::operator=(FileMap &&o) noexcept
{
    std::swap(bytes_, o.bytes_);
    return *this;
}

FileMap::~FileMap()
{
    if (!bytes_.empty())
        munmap(const_cast<char *>(bytes_.data()), bytes_.size());
}

std::optional<FileMap> FileMap::open(int dir, const std::string &name)
{
    const int fd = openat(dir, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return std::nullopt;
    struct stat st {};
    void *at = MAP_FAILED;
    int error = 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        error = errno;
    else if (st.st_size > 0) {
        at = mmap(nullptr, static_cast<std::size_t>(st.st_size), PROT_READ, MAP_SHARED, fd, 0);
        error = at == MAP_FAILED ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (error)
        throw std::system_error(error, std::generic_category(), "cannot read " + name);
    if (st.st_size == 0)
        return FileMap();
    return FileMap({static_cast<const char *>(at), static_cast<std::size_t>(st.st_size)});
}

} // namespace xsgit
