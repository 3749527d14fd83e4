// SPDX-License-Identifier: MIT
// The trace file (-T) in the line format of the C daemon (4.19 and newer): one line per message, local time.
//   io: IN 0x2a (d3) 20261121 17:40:53 READ (/local/domain/3/x )
//   obj: CREATE watch 0x5
// The number after 0x is the connection's incarnation; watches and transactions are counted. NULs are shown as blanks, other bytes that are not
// printable as backslash and three octal digits.
#pragma once

#include "server/daemon/trace_objects.hpp"
#include "server/daemon/unique_fd.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

class Trace {
public:
    static constexpr std::array<std::string_view, 5> kClasses = {"obj", "io", "wrl", "acc", "tdb"};
    enum Class : unsigned { Obj = 1, Io = 2, Wrl = 4 };
    /// Not acc and tdb, which can be switched: what they would say of accounts and nodes, the commits say.
    static bool has_lines(std::string_view name) noexcept { return name != "acc" && name != "tdb"; }

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

    /// A request that is about to be executed, header and payload; and what is sent in answer, or as an event.
    void in(std::uint64_t conn, std::uint32_t domid, std::string_view bytes);
    void out(std::uint64_t conn, std::uint32_t domid, std::string_view bytes);
    /// A guest's credit with the write-rate limit, after it was charged.
    void credit(std::uint32_t domid, double credit, double reserve);
    void connected(std::uint64_t conn);
    void disconnected(std::uint64_t conn);

private:
    void message(std::string_view direction, std::uint64_t conn, std::uint32_t domid, std::string_view bytes);
    void objects(const std::vector<TraceObjects::Change> &changes);
    void line(std::string_view text) const;
    UniqueFd fd_;
    std::string path_;
    TraceObjects objects_;
    unsigned classes_ = Obj | Io;
};

} // namespace xsgit::server
