// SPDX-License-Identifier: MIT
// The pack being written, in memory: objects as stored (uncompressed) zlib streams,
// trees as OFS_DELTA against their previous version when that is in this pack too.
// Format: gitformat-pack(5), version 2; index version 2.
#pragma once

#include "xsgit/git/oid.hpp"
#include "xsgit/git/oid_table.hpp"
#include "xsgit/git/pack_format.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

/// Where an object stands: which pack buffer (serial number, process-wide), at what offset,
/// and how many deltas deep. `pack` 0 means nowhere.
struct Placement {
    std::uint64_t pack = 0;
    std::uint32_t offset = 0;
    std::uint16_t depth = 0;
    std::uint8_t type = 0; // of the object: a delta's base must be of its type
};

/// A finished pack, ready to be written: bytes of the two files.
struct FinishedPack {
    std::string name; // 40 hex digits, as in pack-<name>.pack
    std::string pack; // with trailer
    std::string index;
    std::uint32_t objects = 0;
};

class PackBuffer {
public:
    explicit PackBuffer();

    /// Adds an object, unless this pack has it: then its placement is returned. `previous`
    /// and `previous_content` may name an older version of it: used as delta base when it is
    /// in this pack, of the same type, and the chain is not too deep (31). No allocation but the
    /// amortised growth of buffers. The whole pack must stay below 2 GiB.
    Placement put(ObjectType type, const Oid &oid, std::string_view content,
                  const Placement *previous = nullptr, std::string_view previous_content = {});
    bool contains(const Oid &oid) const noexcept;
    /// Content of an object of this pack (deltas resolved); false if it is not here.
    bool read(const Oid &oid, ObjectType &type, std::string &content) const;

    std::size_t bytes() const noexcept;
    std::uint32_t objects() const noexcept;
    bool empty() const noexcept { return objects() == 0; }

    /// Trailer and index; this buffer is empty afterwards, with a new serial number.
    FinishedPack finish();

private:
    std::uint32_t number_at(std::uint32_t offset) const noexcept;

    std::uint64_t serial_;
    std::string data_;               // header and entries
    std::vector<PackEntry> entries_; // by offset
    OidTable table_;
    std::string delta_; // scratch
};

} // namespace xsgit
