// SPDX-License-Identifier: MIT
// <repository>/objects/pack as files: what the names mean, and the orders in which they may appear and go.
//
// Appear: .keep, .pack, .idx, each complete before its rename. git finds packs by .idx, so that one is
// last. .keep is first because `git repack -ad` lists .pack files that have none and deletes them
// when it is through, whatever happened meanwhile.
// Go: .idx, .pack, .keep. From the first step on no git begins to read the pack; one that had its
// index open and finds no .pack looks for packs again and finds the object in the pack that replaced
// this one. An .idx alone is never to be seen (git reports it), and whatever a kill leaves still
// has the .keep that tells us that it is ours to remove.
// Temporary files are not called tmp_*: `git gc --prune=now` unlinks those while we write.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

/// Owned file descriptor.
class Fd {
public:
    explicit Fd(int fd = -1) noexcept : fd_(fd) {}
    Fd(Fd &&o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
    Fd &operator=(Fd &&o) noexcept;
    ~Fd();
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// A file that is being written; unlinked by the destructor unless it was renamed.
class TempFile {
public:
    TempFile(int dir, std::string name);
    TempFile(TempFile &&o) noexcept;
    ~TempFile();

    /// Throws std::system_error.
    void write(std::string_view bytes);
    void rename(const std::string &name);
    /// Time of last change, ns since 1970. The kernel's own moves in steps of milliseconds.
    void set_time(std::int64_t ns) noexcept;
    std::uint64_t bytes() const noexcept { return bytes_; }

private:
    Fd fd_;
    int dir_;
    std::string name_; // empty: renamed
    std::uint64_t bytes_ = 0;
};

/// What a .keep of ours says.
struct PackMark {
    std::uint32_t epoch = 0, tier = 0;
    std::string text() const; // "xsgit epoch N tier T\n"
    static std::optional<PackMark> parse(std::string_view text);
};

class PackDir {
public:
    struct Found {
        std::string name; // 40 digits
        PackMark mark;
        std::uint64_t bytes = 0; // of all its files on disk
        std::int64_t time = 0;   // of last change of the pack, ns: its age
    };
    using Names = std::map<std::string, std::uint64_t>; // file name -> bytes on disk

    /// Makes the directory if there is none. Throws std::system_error.
    explicit PackDir(std::string objects_dir);

    const std::string &path() const noexcept { return path_; }
    int fd() const noexcept { return fd_.get(); }

    /// Our packs that are complete, oldest first; removes what is left of others of ours, and
    /// temporary files.
    std::vector<Found> recover();

    TempFile temporary();
    /// Makes a pack appear, or again. What it did is undone when a rename fails, unless the pack
    /// was there before.
    void install(const std::string &name, const PackMark &mark, TempFile &pack, TempFile &index);
    /// Makes a pack go, and multi-pack-index with it, which may name it. The descriptor keeps the bytes
    /// until it is closed: freeing megabytes takes milliseconds, the caller may hold a lock.
    Fd remove(const std::string &name) noexcept;
    /// Whether it can be read; also true while it appears again.
    bool is_whole(const std::string &name) const noexcept;
    bool unlink(const std::string &file) noexcept;

    /// Everything in the directory but our temporary files. What is renamed meanwhile may be missing.
    Names list() const;
    /// Bytes of loose objects.
    std::uint64_t loose_bytes() const;

private:
    std::string objects_, path_;
    Fd fd_;
};

/// What a file of `size` bytes takes on disk: whole pages, as tmpfs counts.
std::uint64_t disk_bytes(std::uint64_t size) noexcept;
/// The 40 digits in "pack-<40 digits><suffix>"; empty if it is not such a name.
std::string_view pack_name_of(std::string_view file, std::string_view suffix = {}) noexcept;

} // namespace xsgit
