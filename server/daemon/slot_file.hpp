// SPDX-License-Identifier: MIT
// The slots file: a mapped directory of connections with one slot of memory each. Room is
// allocated when a slot is taken and given back when it is free, so that an idle daemon is small.
#pragma once

#include "server/daemon/slot_format.hpp"
#include "server/daemon/unique_fd.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::server {

class SlotFile {
public:
    /// Makes an empty one (0600), replacing what is there. Throws std::system_error.
    static void create(const std::string &path);
    /// Maps an existing one. Null if it is not of this version. Throws std::system_error.
    static std::unique_ptr<SlotFile> open(const std::string &path);
    /// Whether open() would give one; cheap.
    static bool is_good(const std::string &path) noexcept;
    ~SlotFile();
    SlotFile(const SlotFile &) = delete;
    SlotFile &operator=(const SlotFile &) = delete;

    /// Takes a slot for the socket `fd`: its memory is reset and names `conn`, `domid` and the facts of its
    /// Connect event. Nullopt: all are in use, or no room on the file system.
    std::optional<std::uint32_t> take(int fd, std::uint64_t cookie, std::uint64_t conn, std::uint32_t domid,
                                      std::string_view facts);
    /// From now on a successor closes the connection instead of going on with it.
    void begin_close(std::uint32_t index) noexcept;
    /// The slot is free; its memory may go. The descriptor must have been closed.
    void release(std::uint32_t index) noexcept;

    /// The same socket has another number. Only before the slot is used.
    void set_fd(std::uint32_t index, int fd) noexcept;

    const SlotEntry &entry(std::uint32_t index) const noexcept;
    SlotMemory &memory(std::uint32_t index) noexcept;
    /// Slots in use, in order.
    std::vector<std::uint32_t> used() const;
    std::uint32_t in_use() const noexcept { return in_use_; }

private:
    SlotFile(UniqueFd fd, std::byte *base);
    SlotFileHeader &header() const noexcept;
    SlotEntry &directory(std::uint32_t index) const noexcept;
    void drop_memory(std::uint32_t index) noexcept;

    UniqueFd fd_;
    std::byte *base_;
    bool warm_one() noexcept;

    // Used last first. Some have memory in advance: when the file system is full there is still room for new clients.
    std::vector<std::uint32_t> free_;
    std::size_t warm_ = 0; // how many at the end of free_ have memory
    std::uint32_t in_use_ = 0;
};

/// A descriptor that the directory names.
struct SlotFd {
    std::uint32_t index = 0;
    int fd = -1;
    std::uint64_t cookie = 0;
};
/// For the keeper: reads the directory without mapping the file. Empty if there is none of this version. Throws
/// std::system_error if no descriptor is left to look.
std::vector<SlotFd> read_slot_fds(const std::string &path);
/// Puts new descriptor numbers into the directory. Only while no server runs. Throws std::system_error.
void write_slot_fds(const std::string &path, const std::vector<SlotFd> &fds);

/// SO_COOKIE of a socket; 0 if `fd` is none.
std::uint64_t socket_cookie(int fd) noexcept;

} // namespace xsgit::server
