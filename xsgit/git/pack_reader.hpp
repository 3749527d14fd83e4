// SPDX-License-Identifier: MIT
// A pack of ours on disk, as a merge reads it: its entries in the order of the file.
#pragma once

#include "xsgit/git/file_map.hpp"
#include "xsgit/git/pack_format.hpp"

#include <string>
#include <vector>

namespace xsgit {

class PackReader {
public:
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};
    enum class State { Good, Gone, Damaged };

    struct Entry {
        Oid oid;
        std::uint32_t offset = 0;
        std::uint32_t crc = 0;
        std::uint32_t base = kNone;  // entry number of the delta base, always a smaller one
        std::uint16_t height = 0;    // longest chain of deltas on top of this entry, in this pack
        std::uint8_t type = 0;       // of the object
        std::uint8_t head_bytes = 0; // see EntryHead
        std::uint8_t all_bytes = 0;
    };

    /// Opens pack-`name`.{pack,idx} and checks their structure, but no checksums. Gone: one of
    /// the files is missing. Throws std::system_error if they cannot be read.
    State open(int dir, const std::string &name);

    const std::vector<Entry> &entries() const noexcept { return entries_; }
    std::size_t bytes() const noexcept { return pack_.view().size(); }
    /// The entry as it stands in the file.
    std::string_view raw(std::uint32_t number) const noexcept;
    /// The object, deltas resolved; false if its bytes are damaged.
    bool content(std::uint32_t number, std::string &out) const;
    /// Content of an object that is stored in full and in one block; else a null view.
    std::string_view stored_content(std::uint32_t number) const noexcept;

private:
    bool load();
    bool link();

    FileMap pack_, index_;
    std::vector<Entry> entries_;
};

} // namespace xsgit
