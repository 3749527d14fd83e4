// SPDX-License-Identifier: MIT
// One system call as strace prints it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xsgit::record {

struct StraceLine {
    std::uint32_t pid = 0;           // 0: not printed
    std::optional<std::uint64_t> us; // as printed: of the day, or since 1970
    bool wall = false;               // since 1970
    std::string_view rest;           // "read(3, …", "<... read resumed>…", "+++ exited…", "--- SIG…"
};
/// With or without pid ("123 ", "[pid 123] ") and time (-t, -tt, -ttt). Views into `line`.
StraceLine strace_line(std::string_view line);

/// A call that has returned.
struct StraceCall {
    std::string_view name;
    int fd = -1;              // the first argument, if it is a descriptor
    std::int64_t result = -1; // -1 for errors, "?" too
    std::string data; // that was transferred: at most `result` bytes; what strace cut off is filled with "?"
    bool cut = false;
    std::string path;          // of connect(): sun_path
    bool shares_files = false; // of clone()
};
/// Nullopt: not a call, or one that has nothing to do with messages. O(length).
std::optional<StraceCall> strace_call(std::string_view text);

} // namespace xsgit::record
