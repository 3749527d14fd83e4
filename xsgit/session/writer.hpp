// SPDX-License-Identifier: MIT
// Writes a session, record by record; what has been handed out is readable whatever happens next.
#pragma once

#include "xsgit/session/record.hpp"
#include "xsgit/session/rules.hpp"

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xsgit::session {

/// A record that cannot stand there, or is over a limit.
struct NotWritable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Writer {
public:
    /// Gets the bytes in order, a whole record (the first time with the header before it) each time. What it
    /// throws goes through, and the writer is then spent.
    using Sink = std::function<void(std::string_view)>;

    Writer(const Meta &meta, Sink sink);

    /// `at_us`: since the begin; earlier than the record before counts as at the same time. Throws NotWritable, and then
    /// nothing was written. O(bytes).
    void add(std::uint64_t at_us, const Body &body);
    /// The same with the time in the record.
    void add(const Record &r) { add(r.at_us, r.body); }

    /// Bytes handed out so far, header included.
    std::uint64_t bytes() const noexcept { return bytes_; }
    std::uint64_t records() const noexcept { return records_; }

private:
    Sink sink_;
    Rules rules_;
    std::string record_; // reused
    std::uint64_t last_us_ = 0, bytes_ = 0, records_ = 0;
    std::uint32_t check_ = 0; // of all bytes so far
};

} // namespace xsgit::session
