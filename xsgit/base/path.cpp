// SPDX-License-Identifier: MIT
// Validation of paths, and their relations.
#include "xsgit/base/path.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>

namespace xsgit {

namespace {

/// What a byte may be in a path. The slash is a class of its own so that one
/// pass finds bad bytes and empty components.
enum : std::uint8_t { kBad, kName, kSlash };

constexpr std::array<std::uint8_t, 256> make_classes()
{
    std::array<std::uint8_t, 256> t{};
    for (unsigned c = 'A'; c <= 'Z'; ++c)
        t[c] = t[c + ('a' - 'A')] = kName;
    for (unsigned c = '0'; c <= '9'; ++c)
        t[c] = kName;
    t['_'] = t['@'] = t['-'] = kName;
    t['/'] = kSlash;
    return t;
}

constexpr auto kClasses = make_classes();

/// name ("/" name)*
bool valid_names(std::string_view s) noexcept
{
    std::uint8_t last = kSlash;
    for (const char c : s) {
        const std::uint8_t k = kClasses[static_cast<unsigned char>(c)];
        if (k == kBad || (k == kSlash && last == kSlash))
            return false;
        last = k;
    }
    return last == kName;
}

} // namespace

Result<Path> Path::parse(std::string_view text, std::uint32_t domid, bool allow_special)
{
    if (text.empty())
        return fail(Error::Einval);
    if (text[0] == '/') {
        if (text.size() > 1 && !valid_names(text.substr(1)))
            return fail(Error::Einval);
        return Path(std::string(text));
    }
    if (text[0] == '@') {
        // The name after the "@" must not be empty, so "@" and "@/x" are refused.
        if (!allow_special || !valid_names(text.substr(1)))
            return fail(Error::Einval);
        return Path(std::string(text));
    }
    if (!valid_names(text))
        return fail(Error::Einval);
    static constexpr std::string_view kBase = "/local/domain/";
    char digits[10];
    const auto end = std::to_chars(digits, digits + sizeof digits, domid).ptr;
    std::string full;
    full.reserve(kBase.size() + sizeof digits + 1 + text.size());
    full.append(kBase).append(digits, end).append(1, '/').append(text);
    return Path(std::move(full));
}

std::string_view Path::name() const noexcept
{
    const std::string_view t = text_;
    const std::size_t slash = t.rfind('/');
    return slash == t.npos ? t : t.substr(slash + 1);
}

Path Path::parent() const
{
    assert(!is_special());
    const std::size_t slash = text_.rfind('/');
    return slash == 0 ? Path() : Path(text_.substr(0, slash));
}

Path Path::child(std::string_view name) const
{
    assert(valid_names(name) && name.find('/') == name.npos);
    std::string full;
    full.reserve(text_.size() + 1 + name.size());
    if (!is_root())
        full = text_;
    full.append(1, '/').append(name);
    return Path(std::move(full));
}

std::size_t Path::depth() const noexcept
{
    if (is_root())
        return 0;
    const auto slashes = static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '/'));
    return is_special() ? slashes + 1 : slashes;
}

bool Path::contains(const Path &other) const noexcept
{
    if (is_root())
        return !other.is_special();
    return other.text_.starts_with(text_) &&
           (other.text_.size() == text_.size() || other.text_[text_.size()] == '/');
}

} // namespace xsgit
