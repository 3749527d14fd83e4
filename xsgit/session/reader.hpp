// SPDX-License-Identifier: MIT
// Reads a session record by record, from a file or a pipe, and never believes what it reads.
#pragma once

#include "xsgit/session/record.hpp"
#include "xsgit/session/rules.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xsgit::session {

/// This is no session, or one of a version that is not known: nothing of it can be used.
struct NotASession : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// From here on it cannot be read: damaged, cut off, or a record that this program does not know and may not skip. All
/// records before are good. The text names the place.
struct SessionDamaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Reader {
public:
    /// Fills up to `n` bytes, gives their number; 0 at the end. What it throws goes through.
    using Source = std::function<std::size_t(char *to, std::size_t n)>;

    /// Reads header and description. Throws NotASession, also when the description is damaged.
    explicit Reader(Source source);
    /// From memory, which must outlive this.
    explicit Reader(std::string_view bytes);

    const Meta &meta() const noexcept { return meta_; }

    /// The next record (the description is not given again); nullopt at the end, again and again. Throws SessionDamaged,
    /// again and again. Holds one record in memory, whatever the input.
    std::optional<Record> next();

    /// Whether the end mark was read; if it is missing at the end, the recorder was killed, or the file cut between records.
    bool complete() const noexcept { return complete_; }
    /// Records and bytes that were good, header and description included.
    std::uint64_t records() const noexcept { return records_; }
    std::uint64_t bytes() const noexcept { return bytes_; }
    /// Records of kinds that are not known and may be skipped.
    std::uint64_t skipped() const noexcept { return skipped_; }

private:
    std::optional<Record> read();
    bool fill(std::size_t n);
    bool frame(std::uint8_t &kind, std::size_t &body);
    [[noreturn]] void damaged(const std::string &why);

    Source source_;
    Rules rules_;
    Meta meta_;
    std::string buffer_, damage_;
    std::size_t used_ = 0; // of the buffer
    std::uint64_t at_us_ = 0, records_ = 0, bytes_ = 0, skipped_ = 0;
    std::uint32_t check_ = 0;
    bool complete_ = false;
};

} // namespace xsgit::session
