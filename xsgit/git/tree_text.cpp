// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_text.hpp"

#include <algorithm>
#include <cstring>

namespace xsgit::tree_text {

namespace {

constexpr std::string_view kTreeMode = "40000 ";
constexpr std::string_view kBlobMode = "100644 ";
constexpr std::size_t kIdSize = 20;

std::string_view mode_of(bool tree) noexcept { return tree ? kTreeMode : kBlobMode; }

struct Spot {
    std::size_t at; // of the entry's first byte, or where it belongs
    bool found;
    std::size_t end = 0; // behind the entry, when found
};

/// One scan over the entries before the wanted one.
Spot locate(std::string_view content, std::string_view name, bool tree) noexcept
{
    std::size_t at = 0;
    while (at < content.size()) {
        const bool is_tree = content[at] == '4';
        const char *const entry_name = content.data() + at + mode_of(is_tree).size();
        const std::size_t length = std::strlen(entry_name); // a NUL is always there
        const int order = compare({entry_name, length}, is_tree, name, tree);
        const auto end = static_cast<std::size_t>(entry_name - content.data()) + length + 1 + kIdSize;
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

bool set(std::string &content, std::string_view name, bool tree, const Oid &id)
{
    const Spot spot = locate(content, name, tree);
    if (spot.found) {
        char *const old = content.data() + spot.end - kIdSize;
        if (std::memcmp(old, id_bytes(id), kIdSize) == 0)
            return false;
        std::memcpy(old, id_bytes(id), kIdSize);
        return true;
    }
    std::string entry;
    entry.reserve(kBlobMode.size() + name.size() + 1 + kIdSize);
    append(entry, name, tree, id);
    content.insert(spot.at, entry);
    return true;
}

bool erase(std::string &content, std::string_view name, bool tree)
{
    const Spot spot = locate(content, name, tree);
    if (spot.found)
        content.erase(spot.at, spot.end - spot.at);
    return spot.found;
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
