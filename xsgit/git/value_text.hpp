// SPDX-License-Identifier: MIT
// A node's value as a blob.
#pragma once

#include "xsgit/git/oid.hpp"
#include "xsgit/git/pack_buffer.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace xsgit {

struct ValueBlob {
    Oid oid;
    bool hex = false; // the bytes themselves are nothing git would take: written as hex digits
};

/// Writes the blob of `value`.
ValueBlob put_value_blob(std::string_view value, PackBuffer &out);

/// "6162\n" for "ab".
std::string hex_text(std::string_view value);
/// Nullopt if it is not text of hex_text().
std::optional<std::string> from_hex_text(std::string_view text);

} // namespace xsgit
