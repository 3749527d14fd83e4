// SPDX-License-Identifier: MIT
// The log of strace, of clients or of a daemon:
//   strace -f -e trace=read,write,recvfrom,sendto,recvmsg,sendmsg,readv,writev,connect,accept4,close,clone,clone3 -xx -s 65536 -tt
// Which descriptors lead to a xenstored is told by the socket's name, else by what goes through them.
#pragma once

#include "bisect/record/import/strace_call.hpp"
#include "bisect/record/import/target.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace xsgit::record {

class Strace {
public:
    static constexpr const char *kSource = "import strace";
    static constexpr const char *kAbout =
        "from strace's log: only what the traced processes sent and received";

    explicit Strace(Target &target) : target_(target) {}
    static bool recognizes(std::string_view line);
    /// Lines that have nothing to do with messages are left out. Throws std::runtime_error if too much is unfinished.
    void line(std::string_view text);
    void finish();

private:
    struct Stream {
        MessageStream messages;
        bool cut = false; // what is complete next has bytes that strace did not print
    };
    struct Connection {
        std::uint64_t conn = 0;
        bool daemon = false; // the traced process is the daemon
        Stream streams[2];   // by From
        std::uint64_t last_used = 0;
    };
    using Key = std::pair<std::uint32_t, int>; // process, descriptor

    std::uint32_t process(std::uint32_t pid) const;
    void call(When when, std::uint32_t pid, const StraceCall &c);
    Connection *begin(When when, Key key, bool daemon, bool before);
    void transfer(When when, std::uint32_t pid, const StraceCall &c);
    void feed(When when, Connection &connection, From from, const StraceCall &c);
    void close(When when, std::map<Key, Connection>::iterator it);
    void leftover(const Connection &connection);
    void exited(When when, std::uint32_t pid);

    Target &target_;
    std::map<Key, Connection> connections_;           // at most kMost
    std::map<std::uint32_t, std::uint32_t> threads_;  // of which process; at most kMost
    std::map<std::uint32_t, std::string> unfinished_; // calls; at most kUnfinishedBytes
    std::size_t unfinished_bytes_ = 0;
    std::uint64_t calls_ = 0;
    When last_;
};

} // namespace xsgit::record
