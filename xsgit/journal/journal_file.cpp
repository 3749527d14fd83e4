// SPDX-License-Identifier: MIT
// Making, opening and mapping the journal's file.
#include "xsgit/journal/file.hpp"
#include "xsgit/journal/journal_map.hpp"

#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

namespace xsgit {

namespace {

constexpr char kMagic[] = "xsgitjnl";

template <class Fixed>
std::uint64_t checksum(const Fixed &f) noexcept
{
    return XXH3_64bits(&f, offsetof(Fixed, checksum));
}

[[noreturn]] void bad_header(const std::string &path, const std::string &why)
{
    throw JournalDamaged(fmt::format("{}: {}; move the file away to start without it", path, why));
}

/// Not in vain where the limit forbids locking: the first round through the ring then at
/// least meets no page fault.
void pin(void *at, std::size_t size) noexcept
{
    if (::mlock(at, size) == 0)
        return;
#ifdef MADV_POPULATE_WRITE
    ::madvise(at, size, MADV_POPULATE_WRITE);
#endif
}

/// Head and tail must make sense together; that they lead from one to the other is what
/// repair() checks.
const char *bad_positions(JournalPosition tail, JournalPosition head, JournalPosition tail_later,
                          std::uint64_t capacity) noexcept
{
    if (tail.offset % 8 != 0 || head.offset % 8 != 0 || tail.number == 0 || head.number == 0)
        return "head or tail is damaged";
    if (head.offset < tail.offset || head.offset - tail.offset > capacity + (tail_later.offset - tail.offset))
        return "head and tail do not fit together";
    const std::uint64_t bytes = head.offset - tail.offset, events = head.number - tail.number;
    if (head.number < tail.number || events > bytes / kRecordHeader || (events == 0) != (bytes == 0))
        return "event numbers of head and tail do not fit together";
    return nullptr;
}

} // namespace

/// Owns a mapping until a Journal does.
class Journal::Mapping {
public:
    Mapping(int fd, std::size_t size, bool read_only) noexcept
        : at_(::mmap(nullptr, size, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)),
          size_(size)
    {
    }
    Mapping(const Mapping &) = delete;
    ~Mapping()
    {
        if (*this)
            ::munmap(at_, size_);
    }
    explicit operator bool() const noexcept { return at_ != MAP_FAILED; }
    void *raw() const noexcept { return at_; }
    Map *map() const noexcept { return static_cast<Map *>(at_); }
    std::unique_ptr<Journal> give(const std::string &path, bool read_only)
    {
        std::unique_ptr<Journal> j(new Journal(path, map(), read_only));
        at_ = MAP_FAILED;
        return j;
    }

private:
    void *at_;
    const std::size_t size_;
};

std::unique_ptr<Journal> Journal::create(const std::string &path, std::size_t capacity, Position start)
{
    if (capacity < kJournalMin || capacity % 4096 != 0 || start.offset % 8 != 0 || start.number == 0)
        throw_system(fmt::format("{}: a journal of {} bytes from event {}", path, capacity, start.number),
                     EINVAL);
    const std::size_t size = kJournalHeader + capacity;
    const std::string temp = path + ".new";
    ::unlink(temp.c_str()); // of a start that was killed here
    const Fd fd(::open(temp.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        throw_system("cannot create " + temp);
    const UnlinkLater cleanup(temp);
    if (const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(size)))
        throw_system(fmt::format("cannot allocate {} bytes for {}", size, temp), error);
    Mapping mapping(fd.get(), size, false);
    if (!mapping)
        throw_system("cannot map " + temp);

    Map *m = mapping.map(); // all zero
    std::memcpy(m->fixed.magic, kMagic, sizeof m->fixed.magic);
    m->fixed.journal_version = kJournalVersion;
    m->fixed.record_version = kRecordVersion;
    m->fixed.capacity = capacity;
    m->fixed.checksum = checksum(m->fixed);
    m->tail.store(start);
    m->head.store(start);
    pin(mapping.raw(), size);
    // Not a rename: that would replace a journal that holds events.
    if (::link(temp.c_str(), path.c_str()) != 0)
        throw_system("cannot create " + path);
    return mapping.give(path, false);
}

std::unique_ptr<Journal> Journal::open(const std::string &path, bool read_only)
{
    const Fd fd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW));
    struct stat st;
    if (!fd || ::fstat(fd.get(), &st) != 0)
        throw_system("cannot open " + path);
    if (!S_ISREG(st.st_mode) || st.st_size < static_cast<off_t>(kJournalHeader + kJournalMin))
        bad_header(path, "too short for a journal");
    const auto size = static_cast<std::size_t>(st.st_size);
    Mapping mapping(fd.get(), size, read_only);
    if (!mapping)
        throw_system("cannot map " + path);

    const Map *m = mapping.map();
    const Map::Fixed &f = m->fixed;
    if (std::memcmp(f.magic, kMagic, sizeof f.magic) != 0)
        bad_header(path, "not a journal");
    if (f.journal_version != kJournalVersion || f.record_version != kRecordVersion)
        bad_header(path, fmt::format("a journal of version {}.{}, this program knows {}.{}",
                                     f.journal_version, f.record_version, kJournalVersion, kRecordVersion));
    if (f.checksum != checksum(f) || f.capacity != size - kJournalHeader || f.capacity % 4096 != 0)
        bad_header(path, "the journal's header is damaged");
    // In this order: beside a live daemon both move, and the tail never passes the head.
    const Position tail = m->tail.load(), head = m->head.load(), later = m->tail.load();
    if (const char *why = bad_positions(tail, head, later, f.capacity))
        bad_header(path, why);
    if (!read_only)
        pin(mapping.raw(), size);
    return mapping.give(path, read_only);
}

Journal::Journal(const std::string &path, Map *m, bool read_only)
    : path_(path), map_(m), data_(reinterpret_cast<std::byte *>(m) + kJournalHeader),
      capacity_(m->fixed.capacity), read_only_(read_only), head_(m->head.load()),
      place_(head_.offset % capacity_), tail_seen_(m->tail.load().offset), head_seen_(head_)
{
}

Journal::~Journal() { ::munmap(map_, kJournalHeader + capacity_); }

} // namespace xsgit
