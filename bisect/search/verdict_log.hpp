// SPDX-License-Identifier: MIT
// What was found of which commit, as text that can be read back, by people too.
//
//   # xs-bisect log 1                       first line; the number is the format's version
//   # condition: /a = "4"                   lines with "#", and empty ones, are remarks
//   bad 3f2a…(40 digits) # #1000 write /a = 4
//   good 91bc… # #1 start
//   skip 77d0… # #512 commit 2 operations
#pragma once

#include "bisect/search/search.hpp"
#include "xsgit/git/oid.hpp"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::bisect {

/// "good", "bad", "skip".
std::string_view verdict_name(Verdict v) noexcept;

struct LoggedVerdict {
    Oid commit;
    Verdict verdict = Verdict::Skip;
};

/// In the order of the text. Throws inspect::ToolFailure (kUsage) that names the line; so do other versions.
std::vector<LoggedVerdict> parse_verdict_log(std::string_view text);
/// The same of a file of at most 16 MiB.
std::vector<LoggedVerdict> read_verdict_log(const std::string &file);

/// Written line by line, so that a search that is interrupted can go on.
class VerdictLog {
public:
    /// Makes or replaces `file`; `remark` is one line, printable. As all here throws inspect::ToolFailure
    /// (kNoRepository) if it cannot be written.
    VerdictLog(const std::string &file, const std::string &remark);
    void add(const LoggedVerdict &v, const std::string &remark);
    void remark(const std::string &text);

private:
    void put(const std::string &line);
    struct Close {
        void operator()(std::FILE *f) const noexcept { std::fclose(f); }
    };
    std::string name_;
    std::unique_ptr<std::FILE, Close> file_;
};

} // namespace xsgit::bisect
