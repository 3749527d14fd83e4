// SPDX-License-Identifier: MIT
#include "xsgit/git/value_text.hpp"

namespace xsgit {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

} // namespace

ValueBlob put_value_blob(std::string_view value, PackBuffer &out)
{
    try {
        const Oid oid = hash_guest_blob(value);
        out.put(ObjectType::Blob, oid, value);
        return {oid, false};
    } catch (const HashCollision &) {
        const std::string text = hex_text(value);
        const Oid oid = hash_object(ObjectType::Blob, text);
        out.put(ObjectType::Blob, oid, text);
        return {oid, true};
    }
}

std::string hex_text(std::string_view value)
{
    std::string text;
    text.reserve(2 * value.size() + 1);
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    text += '\n';
    return text;
}

std::optional<std::string> from_hex_text(std::string_view text)
{
    if (text.size() % 2 == 0 || text.back() != '\n')
        return std::nullopt;
    std::string value;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        const std::size_t high = kDigits.find(text[i]), low = kDigits.find(text[i + 1]);
        if (high == kDigits.npos || low == kDigits.npos)
            return std::nullopt;
        value += static_cast<char>(high << 4 | low);
    }
    return value;
}

} // namespace xsgit
