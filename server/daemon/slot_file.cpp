// SPDX-License-Identifier: MIT
#include "server/daemon/slot_file.hpp"

#include "server/daemon/slot.hpp"
#include "server/store/shortage.hpp"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>

namespace xsgit::server {

namespace {

/// Free slots that keep their memory, so that short-lived clients do not cost an allocation each.
constexpr std::size_t kWarmSlots = 32;

[[noreturn]] void broken(const std::string &what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

bool ours(const SlotFileHeader &h) noexcept
{
    return std::memcmp(h.magic, kSlotMagic, sizeof h.magic) == 0 && h.version == kSlotVersion &&
           h.pointer_size == sizeof(void *) && h.count == kSlotCount && h.high <= kSlotCount;
}

/// Of our version, and as long as it is mapped: beyond its end a mapping kills.
bool whole(int fd) noexcept
{
    SlotFileHeader h;
    struct stat st {};
    return pread(fd, &h, sizeof h, 0) == sizeof h && ours(h) && fstat(fd, &st) == 0 &&
           st.st_size == static_cast<off_t>(kSlotFileSize);
}

off_t memory_offset(std::uint32_t index) noexcept
{
    return static_cast<off_t>(kSlotArea + std::size_t{index} * kSlotSize);
}

off_t entry_offset(std::uint32_t index) noexcept
{
    return static_cast<off_t>(kSlotDirectory + std::size_t{index} * sizeof(SlotEntry));
}

void set_state(SlotEntry &e, SlotState s) noexcept
{
    std::atomic_signal_fence(std::memory_order_seq_cst);
    *const_cast<volatile SlotState *>(&e.state) = s;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

} // namespace

std::uint64_t socket_cookie(int fd) noexcept
{
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

void SlotFile::create(const std::string &path)
{
    const std::string fresh = path + ".new";
    UniqueFd fd(::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd)
        broken("cannot make " + fresh);
    SlotFileHeader h{};
    std::memcpy(h.magic, kSlotMagic, sizeof h.magic);
    h.version = kSlotVersion;
    h.pointer_size = sizeof(void *);
    h.count = kSlotCount;
    if (ftruncate(fd.get(), static_cast<off_t>(kSlotFileSize)) != 0)
        broken("cannot size " + fresh);
    // Header and directory are allocated now: a later store into them must not meet a full file system.
    if (const int e = posix_fallocate(fd.get(), 0, static_cast<off_t>(kSlotArea))) {
        errno = e;
        broken("no room for " + fresh);
    }
    if (pwrite(fd.get(), &h, sizeof h, 0) != sizeof h || rename(fresh.c_str(), path.c_str()) != 0)
        broken("cannot write " + path);
}

bool SlotFile::is_good(const std::string &path) noexcept
{
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    return fd && whole(fd.get());
}

std::unique_ptr<SlotFile> SlotFile::open(const std::string &path)
{
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        broken("cannot open " + path);
    if (!whole(fd.get()))
        return nullptr;
    void *base = mmap(nullptr, kSlotFileSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (base == MAP_FAILED)
        broken("cannot map " + path);
    return std::unique_ptr<SlotFile>(new SlotFile(std::move(fd), static_cast<std::byte *>(base)));
}

SlotFile::SlotFile(UniqueFd fd, std::byte *base) : fd_(std::move(fd)), base_(base)
{
    for (std::uint32_t i = header().high; i-- > 0;) {
        if (directory(i).state == SlotState::Free) {
            free_.push_back(i);
        } else {
            ++in_use_;
            (void)mlock(&memory(i), kSlotSize);
        }
    }
    while (warm_ < kWarmSlots && warm_one())
        ;
    for (std::size_t i = 0; i + warm_ < free_.size(); ++i)
        drop_memory(free_[i]);
}

SlotFile::~SlotFile() { munmap(base_, kSlotFileSize); }

SlotFileHeader &SlotFile::header() const noexcept { return *reinterpret_cast<SlotFileHeader *>(base_); }

SlotEntry &SlotFile::directory(std::uint32_t index) const noexcept
{
    return *reinterpret_cast<SlotEntry *>(base_ + entry_offset(index));
}

const SlotEntry &SlotFile::entry(std::uint32_t index) const noexcept { return directory(index); }

SlotMemory &SlotFile::memory(std::uint32_t index) noexcept
{
    return *reinterpret_cast<SlotMemory *>(base_ + memory_offset(index));
}

std::vector<std::uint32_t> SlotFile::used() const
{
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < header().high; ++i)
        if (directory(i).state != SlotState::Free)
            out.push_back(i);
    return out;
}

std::optional<std::uint32_t> SlotFile::take(int fd, std::uint64_t cookie, std::uint64_t conn,
                                            std::uint32_t domid, std::string_view facts)
{
    if (warm_ < kWarmSlots / 2)
        warm_one();
    if (warm_ == 0)
        return std::nullopt;
    const std::uint32_t index = free_.back();
    --warm_;
    free_.pop_back();
    Slot::reset(memory(index), domid, facts);
    memory(index).conn = conn;
    SlotEntry &e = directory(index);
    e.fd = fd;
    e.cookie = cookie;
    set_state(e, SlotState::Used);
    ++in_use_;
    return index;
}

/// Gives one more free slot memory. False: all are in use, or there is no room.
bool SlotFile::warm_one() noexcept
{
    if (free_.size() == warm_) {
        if (header().high == kSlotCount)
            return false;
        free_.insert(free_.begin(), header().high++);
    }
    const std::uint32_t index = free_[free_.size() - warm_ - 1];
    if (posix_fallocate(fd_.get(), memory_offset(index), kSlotSize) != 0)
        return false;
    // Locked, so that the kernel's store of a count cannot fail on a page that was swapped out. Where the
    // limit forbids it, that small risk is taken.
    (void)mlock(&memory(index), kSlotSize);
    ++warm_;
    return true;
}

void SlotFile::set_fd(std::uint32_t index, int fd) noexcept { directory(index).fd = fd; }

void SlotFile::begin_close(std::uint32_t index) noexcept { set_state(directory(index), SlotState::Closing); }

void SlotFile::release(std::uint32_t index) noexcept
{
    set_state(directory(index), SlotState::Free);
    --in_use_;
    if (warm_ < kWarmSlots) {
        free_.push_back(index);
        ++warm_;
    } else {
        drop_memory(index);
        free_.insert(free_.end() - static_cast<std::ptrdiff_t>(warm_), index);
    }
}

void SlotFile::drop_memory(std::uint32_t index) noexcept
{
    (void)munlock(&memory(index), kSlotSize);
    (void)fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, memory_offset(index), kSlotSize);
}

std::vector<SlotFd> read_slot_fds(const std::string &path)
{
    std::vector<SlotFd> out;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && is_shortage({errno, std::generic_category()}))
        broken("cannot open " + path);
    SlotFileHeader h;
    if (!fd || pread(fd.get(), &h, sizeof h, 0) != sizeof h || !ours(h))
        return out;
    for (std::uint32_t i = 0; i < h.high; ++i) {
        SlotEntry e;
        if (pread(fd.get(), &e, sizeof e, entry_offset(i)) != sizeof e)
            break;
        if (e.state != SlotState::Free)
            out.push_back({i, e.fd, e.cookie});
    }
    return out;
}

void write_slot_fds(const std::string &path, const std::vector<SlotFd> &fds)
{
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd)
        broken("cannot open " + path);
    for (const SlotFd &s : fds) {
        const std::int32_t number = s.fd;
        const off_t at = entry_offset(s.index) + static_cast<off_t>(offsetof(SlotEntry, fd));
        if (pwrite(fd.get(), &number, sizeof number, at) != sizeof number)
            broken("cannot write " + path);
    }
}

} // namespace xsgit::server
