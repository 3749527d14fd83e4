// SPDX-License-Identifier: MIT
// Logs of other programs become sessions.
#pragma once

#include "bisect/record/import/lines.hpp"
#include "bisect/record/redaction.hpp"
#include "bisect/record/session_file.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace xsgit::record {

enum class LogKind { Auto, Strace, CTrace, Oxenstored };

struct Imported {
    std::string source; // "import strace"
    std::uint64_t lines = 0, messages = 0;
    std::string about; // what such logs never have
    std::vector<std::string>
        notes; // what was missing or guessed in this one; these stand in the session, too
};

/// Reads to the end, with memory for one line and one message per connection. Auto: the first lines say what it is. Throws
/// std::runtime_error, with the number of the line where it is about one; a session that was begun then has no end mark.
Imported import_log(LogKind kind, Lines::Source source, const FileOptions &file, const Redaction &redaction);

} // namespace xsgit::record
