// SPDX-License-Identifier: MIT
// The bytes of a git tree object, read and edited in place. An entry is
//   mode " " name NUL oid(20)      mode: "40000" tree, "100644" blob
// in git's order. No other mode is ours. The content given to everything but Reader is
// trusted to be well formed.
#pragma once

#include "xsgit/git/oid.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace xsgit::tree_text {

struct Entry {
    std::string_view name;
    Oid id;
    bool tree = false;
};

/// Below, equal, above zero as git sorts entries: as if the name of a tree ended in "/".
int compare(std::string_view a, bool a_tree, std::string_view b, bool b_tree) noexcept;

/// Offset of the entry of this name and kind; npos if there is none.
std::size_t find(std::string_view content, std::string_view name, bool tree) noexcept;
/// The id of that entry; null id if there is none.
Oid id_of(std::string_view content, std::string_view name, bool tree) noexcept;

void append(std::string &content, std::string_view name, bool tree, const Oid &id);
/// Overwrites the id of the entry, or adds it. Offset of the first byte that is another one now; npos if it was there
/// with this id.
std::size_t set(std::string &content, std::string_view name, bool tree, const Oid &id);
/// Offset of what is gone; npos if there was none.
std::size_t erase(std::string &content, std::string_view name, bool tree);

/// Reads entries one by one; names are views into `content`.
class Reader {
public:
    explicit Reader(std::string_view content) noexcept : rest_(content) {}
    /// False at the end, and where the text is not a tree of files and trees: malformed() tells.
    bool next(Entry &e) noexcept;
    bool malformed() const noexcept { return malformed_; }

private:
    std::string_view rest_;
    bool malformed_ = false;
};

} // namespace xsgit::tree_text
