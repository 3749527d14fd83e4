// SPDX-License-Identifier: MIT
// Makes guest bytes safe to show.
#include "xsgit/base/escape.hpp"

namespace xsgit {

std::string escape(std::string_view bytes, std::size_t limit)
{
    static constexpr char kHex[] = "0123456789abcdef";
    const bool cut = limit != 0 && bytes.size() > limit;
    if (cut)
        bytes = bytes.substr(0, limit);
    std::string out;
    out.reserve(bytes.size() + 3);
    for (const char c : bytes) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '\\') {
            out += "\\\\";
        } else if (u >= 0x20 && u < 0x7f) {
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else {
            out += "\\x";
            out += kHex[u >> 4];
            out += kHex[u & 15];
        }
    }
    if (cut)
        out += "...";
    return out;
}

} // namespace xsgit
