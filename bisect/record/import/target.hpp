// SPDX-License-Identifier: MIT
// The session that an importer fills, and what is said of all that it could not find in the log.
#pragma once

#include "bisect/record/recorder.hpp"
#include "bisect/record/redaction.hpp"
#include "bisect/record/session_file.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::record {

/// What the log gives: microseconds since 1970, or of a day or anything else that only goes on.
struct When {
    std::uint64_t us = 0;
    bool wall = false;
};

class Target {
public:
    /// `source`: "import strace"; `about`: what such logs never have. The file is made with the first record.
    Target(FileOptions file, const Redaction &redaction, std::string source, std::string about);

    /// A connection, of which `opened.conn` is set here; gives its number. Throws std::runtime_error, as all below, when the file
    /// cannot be written.
    std::uint64_t open(When when, session::Opened opened);
    void close(When when, std::uint64_t conn);
    /// `m.conn` is open.
    void message(When when, From from, session::Message m);
    /// Counts something that is missing or was guessed, to be told at the end. `what` is one of few.
    void missing(const std::string &what, std::uint64_t count = 1) { missing_[what] += count; }

    /// The notes and the end mark. Gives what the user should be told: "3 messages: …". Throws std::runtime_error if there was
    /// no message at all.
    std::vector<std::string> finish();

    std::uint64_t messages() const noexcept { return messages_; }

private:
    std::uint64_t at(When when);

    FileOptions file_options_;
    const Redaction &redaction_;
    std::string source_, about_;
    std::unique_ptr<SessionFile> file_;
    std::optional<Recorder> recorder_;
    std::map<std::string, std::uint64_t> missing_;
    std::uint64_t begin_us_ = 0, printed_us_ = 0, midnights_us_ = 0, last_us_ = 0;
    std::uint64_t next_ = 1, messages_ = 0;
};

} // namespace xsgit::record
