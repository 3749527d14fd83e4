// SPDX-License-Identifier: MIT
// The trace file (-T) in the line format of the C daemon (4.19 and newer): one line per message, local time.
//   io: IN 0x2a (d3) 20261121 17:40:53 READ (/local/domain/3/x )
// The number after 0x is the connection's incarnation. NULs are shown as blanks, other bytes that are not
// printable as backslash and three octal digits.
#pragma once

#include "server/daemon/unique_fd.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace xsgit::server {

class Trace {
public:
    static constexpr std::array<std::string_view, 5> kClasses = {"obj", "io", "wrl", "acc", "tdb"};
    enum Class : unsigned { Obj = 1, Io = 2, Wrl = 4 }; // the others can be switched, and write nothing

    /// Where a file lies that is named in an option or by CONTROL: without a folder, below Xen's library folder.
    static std::string file_named(std::string_view name);

    /// Opens (appends, 0600) and begins with a line of stars. False: errno says why; the old file goes on. If there
    /// is none yet, the name is kept all the same, to be tried again.
    bool open(const std::string &path);
    void close() noexcept;
    /// Closes and opens again, for those who rotate files.
    void reopen();
    bool is_open() const noexcept { return bool(fd_); }
    int fd() const noexcept { return fd_.get(); }
    const std::string &path() const noexcept { return path_; }

    /// "+io" or "-io"; false: no such class.
    bool set(std::string_view change);
    bool on(std::string_view name) const;
    bool wants(Class c) const noexcept { return fd_ && (classes_ & c) != 0; }

    /// A whole message: header and payload.
    void message(std::string_view direction, std::uint64_t conn, std::uint32_t domid, std::string_view bytes);
    /// A guest's credit with the write-rate limit, after it was charged.
    void credit(std::uint32_t domid, double credit, double reserve);
    void object(std::string_view what, std::uint64_t conn, std::uint32_t domid);

private:
    void line(std::string_view text) const;
    UniqueFd fd_;
    std::string path_;
    unsigned classes_ = Obj | Io;
};

} // namespace xsgit::server
