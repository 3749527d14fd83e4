// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_text.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace xsgit::tree_text {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kTreeMode = "40000 ";
constexpr std::string_view kBlobMode = "100644 ";
constexpr std::size_t kIdSize = 20;

std::string_view mode_of(bool tree) noexcept { return tree ? kTreeMode : kBlobMode; }

struct Spot {
    std::size_t at; // of the entry's first byte, or where it belongs
    bool found;
    std::size_t end = 0; // behind the entry, when found
};

/// The first eight bytes of an entry's name as git sorts it ("/" behind the name of a tree), as a number that sorts
/// the same way. `whole`: the name has no more.
struct Prefix {
    std::uint64_t order;
    std::size_t length; // of the name; beyond 7 only a lower bound
    bool whole;
};

/// `name` ends in NUL, and at least seven more bytes can be read.
Prefix prefix_of(const char *name, bool tree) noexcept
{
    std::uint64_t w;
    std::memcpy(&w, name, sizeof w);
    // The lowest byte that is zero has its top bit set, and none below it.
    const std::uint64_t zero = (w - 0x0101010101010101) & ~w & 0x8080808080808080;
    if (zero == 0)
        return {__builtin_bswap64(w), 8, false};
    const auto length = static_cast<unsigned>(std::countr_zero(zero)) / 8;
    w &= (std::uint64_t{1} << (8 * length)) - 1;
    if (tree)
        w |= std::uint64_t{'/'} << (8 * length);
    return {__builtin_bswap64(w), length, true};
}

/// One scan over the entries before the wanted one. Most names are short: a comparison of numbers each.
Spot locate(std::string_view content, std::string_view name, bool tree) noexcept
{
    char padded[8] = {};
    std::memcpy(padded, name.data(), std::min(name.size(), sizeof padded));
    const Prefix wanted = prefix_of(padded, tree);
    std::size_t at = 0;
    while (at < content.size()) {
        const bool is_tree = content[at] == '4';
        const char *const entry_name = content.data() + at + mode_of(is_tree).size();
        const Prefix here = prefix_of(entry_name, is_tree);
        const std::size_t length = here.whole ? here.length : 8 + std::strlen(entry_name + 8);
        const auto end = static_cast<std::size_t>(entry_name - content.data()) + length + 1 + kIdSize;
        int order = here.order < wanted.order ? -1 : here.order > wanted.order;
        if (order == 0 && !(here.whole && wanted.whole))
            order = compare({entry_name, length}, is_tree, name, tree);
        if (order == 0)
            return {at, true, end};
        if (order > 0)
            break;
        at = end;
    }
    return {at, false};
}

const char *id_bytes(const Oid &id) noexcept { return reinterpret_cast<const char *>(id.bytes.data()); }

} // namespace

int compare(std::string_view a, bool a_tree, std::string_view b, bool b_tree) noexcept
{
    const std::size_t common = std::min(a.size(), b.size());
    if (const int order = std::memcmp(a.data(), b.data(), common))
        return order;
    const auto next = [common](std::string_view s, bool tree) {
        if (s.size() > common)
            return static_cast<int>(static_cast<unsigned char>(s[common]));
        return tree ? static_cast<int>('/') : 0;
    };
    return next(a, a_tree) - next(b, b_tree);
}

std::size_t find(std::string_view content, std::string_view name, bool tree) noexcept
{
    const Spot spot = locate(content, name, tree);
    return spot.found ? spot.at : std::string_view::npos;
}

Oid id_of(std::string_view content, std::string_view name, bool tree) noexcept
{
    Oid id;
    if (const Spot spot = locate(content, name, tree); spot.found)
        std::memcpy(id.bytes.data(), content.data() + spot.end - kIdSize, kIdSize);
    return id;
}

void append(std::string &content, std::string_view name, bool tree, const Oid &id)
{
    content += mode_of(tree);
    content += name;
    content += '\0';
    content.append(id_bytes(id), kIdSize);
}

std::size_t set(std::string &content, std::string_view name, bool tree, const Oid &id)
{
    const Spot spot = locate(content, name, tree);
    if (spot.found) {
        char *const old = content.data() + spot.end - kIdSize;
        if (std::memcmp(old, id_bytes(id), kIdSize) == 0)
            return std::string::npos;
        std::memcpy(old, id_bytes(id), kIdSize);
        return spot.end - kIdSize;
    }
    std::string entry;
    entry.reserve(kBlobMode.size() + name.size() + 1 + kIdSize);
    append(entry, name, tree, id);
    content.insert(spot.at, entry);
    return spot.at;
}

std::size_t erase(std::string &content, std::string_view name, bool tree)
{
    const Spot spot = locate(content, name, tree);
    if (!spot.found)
        return std::string::npos;
    content.erase(spot.at, spot.end - spot.at);
    return spot.at;
}

bool Reader::next(Entry &e) noexcept
{
    if (rest_.empty())
        return false;
    e.tree = rest_.starts_with(kTreeMode);
    const std::size_t name = mode_of(e.tree).size();
    const std::size_t nul = rest_.find('\0', std::min(name, rest_.size()));
    if (!rest_.starts_with(mode_of(e.tree)) || nul == rest_.npos || rest_.size() - nul - 1 < kIdSize ||
        nul == name) {
        malformed_ = true;
        return false;
    }
    e.name = rest_.substr(name, nul - name);
    std::memcpy(e.id.bytes.data(), rest_.data() + nul + 1, kIdSize);
    rest_.remove_prefix(nul + 1 + kIdSize);
    return true;
}

} // namespace xsgit::tree_text
