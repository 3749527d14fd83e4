// SPDX-License-Identifier: MIT
// What the tests of this folder share: a directory of their own, and events whose content
// follows from their number, so that a reader can check every byte.
#pragma once

#include "xsgit/journal/journal.hpp"

#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define XSGIT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define XSGIT_TSAN 1
#endif
#endif

namespace xsgit::test {

inline constexpr std::size_t kRing = 1u << 20;
inline constexpr std::size_t kHeaderPage = 4096;

class TempDir {
public:
    TempDir()
    {
        std::string name = (std::filesystem::temp_directory_path() / "xsgit-journal-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TempDir(const TempDir &) = delete;
    ~TempDir() { std::filesystem::remove_all(path_); }
    std::string operator/(const char *name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

inline std::uint64_t mix(std::uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/// The event of a number, owning its bytes.
struct Sample {
    std::string facts, wire;
    Event event;

    explicit Sample(std::uint64_t n)
    {
        const std::uint64_t r = mix(n);
        facts.assign(n % 3 == 0 ? r % 23 : 0, static_cast<char>(r >> 32));
        wire.resize(n % 16 == 0 ? r % 4113 : r % 300);
        for (std::size_t i = 0; i < wire.size(); ++i)
            wire[i] = static_cast<char>(mix(n + i / 8) >> (i % 8 * 8));
        event.number = n;
        event.kind = static_cast<EventKind>(1 + r % 7);
        event.mono_us = static_cast<std::int64_t>(n * 3);
        event.wall_us = static_cast<std::int64_t>(1'700'000'000'000'000 + n);
        event.conn = r >> 40;
        event.request = r >> 50;
        event.outputs_hash = mix(r);
        event.facts = facts;
        event.wire = wire;
    }
    Sample(const Sample &) = delete;
};

inline bool same(const Event &a, const Event &b)
{
    return a.number == b.number && a.kind == b.kind && a.mono_us == b.mono_us && a.wall_us == b.wall_us &&
           a.conn == b.conn && a.request == b.request && a.outputs_hash == b.outputs_hash &&
           a.facts == b.facts && a.wire == b.wire;
}

inline bool is_sample(const Event &e) { return same(e, Sample(e.number).event); }

inline bool append_next(Journal &j) { return j.append(Sample(j.next_number()).event); }

inline std::string read_file(const std::string &path)
{
    const int fd = ::open(path.c_str(), O_RDONLY);
    REQUIRE(fd >= 0);
    struct stat st;
    REQUIRE(::fstat(fd, &st) == 0);
    std::string s(static_cast<std::size_t>(st.st_size), '\0');
    REQUIRE(::pread(fd, s.data(), s.size(), 0) == static_cast<ssize_t>(s.size()));
    ::close(fd);
    return s;
}

/// Writes over a part of a file, making it if need be.
inline void poke(const std::string &path, std::size_t offset, std::string_view bytes)
{
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(bytes.size()));
    ::close(fd);
}

} // namespace xsgit::test
