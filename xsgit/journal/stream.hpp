// SPDX-License-Identifier: MIT
// Framing of the checkpoint: Xen's migration stream, version 2 (xenstore-migration.md).
//
//   header  8 bytes "xenstore", u32 version 2 and u32 flags 0, both big-endian
//   record  u32 type, u32 length of the body rounded up to 8 (little-endian), body, zeros
//   END     type 0, length 0
// Record types from 0x78730001 on are ours; the C daemon's reader skips what it does not
// know. A file of ours ends, after END, with the XXH3-64 of everything before it.
// Read too: version 1 (older C daemons), and lengths that are not rounded up.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xsgit {

struct StreamDamaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Builds one record body: plain little-endian integers and bytes.
class StreamWriter {
public:
    StreamWriter();
    /// Begins a record; ends the one before. `type` is not 0. Everything below needs a
    /// record begun, and its body to stay under 4 GiB.
    void record(std::uint32_t type);
    void u8(std::uint8_t v);
    void u16(std::uint16_t v);
    void u32(std::uint32_t v);
    void u64(std::uint64_t v);
    void bytes(std::string_view s);
    /// u32 length, then the bytes.
    void text(std::string_view s);
    /// Written so far.
    std::size_t size() const noexcept { return out_.size(); }
    /// END and checksum; the whole stream. The writer is then spent.
    std::string finish();

private:
    void close();
    std::string out_;
    std::size_t body_ = 0; // start of the open record's body; 0 if none
};

/// One record of a stream, read in order. Reading past its end throws StreamDamaged.
class RecordReader {
public:
    RecordReader(std::uint32_t type, std::string_view body) : type_(type), rest_(body) {}
    std::uint32_t type() const noexcept { return type_; }
    std::uint8_t u8();
    std::uint16_t u16();
    std::uint32_t u32();
    std::uint64_t u64();
    std::string_view bytes(std::size_t n);
    std::string_view text();
    std::size_t left() const noexcept { return rest_.size(); } // padding included

private:
    std::uint32_t type_;
    std::string_view rest_;
};

class StreamReader {
public:
    /// Checks header and, with `checksum`, the trailer. Throws StreamDamaged. `data` must
    /// outlive this and the records. Without `checksum` what follows END is ignored.
    explicit StreamReader(std::string_view data, bool checksum = true);
    /// 1 or 2.
    std::uint32_t version() const noexcept { return version_; }
    /// The next record; nullopt at END, again and again. Throws StreamDamaged.
    std::optional<RecordReader> next();

private:
    std::string_view rest_;
    std::uint32_t version_ = 0;
    bool checksum_;
    bool end_ = false;
};

/// Writes `data` to `path` (0600) by a temporary file (`path`.new) and a rename, keeping what
/// stood there as `path`.old. A kill at any instant leaves `path` whole, old or new, and, from
/// the second call on, `path`.old. Nothing is synced: a checkpoint does not outlive the host.
/// Throws std::system_error; then the old files are as they were.
void replace_checkpoint(const std::string &path, std::string_view data);

} // namespace xsgit
