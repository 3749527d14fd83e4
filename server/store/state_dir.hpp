// SPDX-License-Identifier: MIT
// <repository>/xsgit/: the files of the daemon beside git's. Whether a directory is a
// store of ours, of this boot, of a format that we know; and setting one aside.
//
//   format     "xsgit 2\nboot <boot id>\n"; "xsgit 2\nmaking\n" until there is something to lose
//   journal, checkpoint, checkpoint.old, slots, epochs, lock, writer, keeper.sock
//   faults     how often the writing of history has ended the daemon (fault_mark.hpp)
//   reserve    room that is given up when the file system is full
//   whole.1, whole.2  room for the whole state when history has to be given up (whole_files.hpp)
#pragma once

#include <cstdint>
#include <string>

namespace xsgit::server {

inline constexpr int kFormat = 2;

struct StatePaths {
    explicit StatePaths(const std::string &repo);
    std::string repo, dir, format, journal, checkpoint, checkpoint_old, epochs, reserve, faults, whole_1,
        whole_2;
};

enum class StoreKind {
    Absent,    // nothing there, an empty directory, or what a start left that died before it had made a store
    Ours,      // format and boot id match
    OtherBoot, // ours, of another boot
    Unknown,   // ours, of a format we do not know, or without a readable format file
    Foreign,   // something else: never touched
};

StoreKind look_at(const StatePaths &paths, const std::string &boot_id);
/// Marks a store that is being made, in which nobody has been served. Throws std::system_error.
void write_making(const StatePaths &paths);
/// Marks the store as ours. Throws std::system_error.
void write_format(const StatePaths &paths, const std::string &boot_id);

/// Renames the repository to <repo>.<why> ("boot-1a2b…", "damaged-1"), replacing an older one of the same kind; where it
/// cannot be renamed its contents go into a directory in it. What a running daemon holds open (lock, socket, slots)
/// goes on in the new one. At no moment is there none. Gives the new name. Throws std::system_error.
std::string set_aside(const StatePaths &paths, const std::string &why);

/// Takes a little room for bad times, if it is not taken.
void keep_reserve(const StatePaths &paths) noexcept;

/// min(256 MiB, half of the file system that holds `path`).
std::uint64_t default_budget(const std::string &path);

/// Small files. read_file gives "" when there is none; replace_file renames a temporary one.
std::string read_file(const std::string &path);
void replace_file(const std::string &path, const std::string &content);

} // namespace xsgit::server
