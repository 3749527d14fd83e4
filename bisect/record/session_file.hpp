// SPDX-License-Identifier: MIT
// Where a recording goes: one file, or a row of files, each a session of its own.
#pragma once

#include "server/daemon/unique_fd.hpp"
#include "xsgit/session/writer.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace xsgit::record {

struct FileOptions {
    std::string path;                 // "-": standard output
    std::uint64_t rotate_bytes = 0;   // a new file when this one has as many; 0: never
    std::uint64_t rotate_seconds = 0; // or is as old, in the session's time; 0: never
    std::uint64_t keep = 0;           // how many files are kept, the current one included; 0: all
    bool rotate_by_caller = false;    // add() never begins a new file: see SessionFile::due()
    bool replace = false; // a file that is there already; else it is refused, or its number left out
};

/// Which of them exclude each other, as a sentence for the user; empty: none.
std::string contradiction(const FileOptions &o);

class SessionFile {
public:
    /// Makes the first file, mode 0600. With rotation they are called PATH.1, PATH.2 and so on. `meta.start_us` is
    /// the begin of the first. Throws std::runtime_error that says what to do.
    SessionFile(FileOptions options, session::Meta meta);

    /// Takes a record; `at_us` is since the begin of the first file. It is in memory until flush(), or until more than
    /// a MiB waits there. A record that no session can hold becomes a note that says so. Throws as flush().
    void add(std::uint64_t at_us, const session::Body &body);
    /// Whether it is time for a new file.
    bool due(std::uint64_t at_us) const noexcept;
    /// Begins the next file; `opening` adds what it has to begin with. Throws as flush().
    void rotate(std::uint64_t at_us, const std::function<void()> &opening);
    /// Writes what waits: from then on it outlives this process. Blocks as long as the disk does. Throws
    /// std::runtime_error; then the file is as it was (standard output may end in half a record), and nothing more can
    /// be written.
    void flush();
    /// The end mark, and flush().
    void finish(std::uint64_t at_us, const std::string &reason);

    std::uint64_t records() const noexcept { return records_; }
    /// Bytes in all files.
    std::uint64_t bytes() const noexcept { return bytes_before_ + (writer_ ? writer_->bytes() : 0); }
    /// That is written now.
    const std::string &path() const noexcept { return path_; }

private:
    bool rotates() const noexcept { return o_.rotate_bytes != 0 || o_.rotate_seconds != 0; }
    struct Part {
        std::string path;
        server::UniqueFd fd;
    };
    Part make_next();
    void begin(std::uint64_t at_us, Part part);
    void put(std::uint64_t at_us, const session::Body &body);

    FileOptions o_;
    session::Meta meta_;
    std::map<std::uint64_t, session::Opened> open_; // at most session::kOpenMax; for the next file
    std::deque<std::string> kept_;                  // at most o_.keep
    std::unique_ptr<session::Writer> writer_;
    server::UniqueFd fd_;
    std::string path_, buffer_;
    std::uint64_t part_ = 0, part_begin_us_ = 0, records_ = 0, bytes_before_ = 0;
    std::uint64_t written_ = 0, base_ = 0; // bytes in the current file; those that it begins with
};

} // namespace xsgit::record
