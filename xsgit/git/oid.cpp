// SPDX-License-Identifier: MIT
#include "xsgit/git/oid.hpp"

#include "xsgit/git/sha1.hpp"

#include <cstring>
#include <git2.h>
#include <stdexcept>

namespace xsgit {

namespace {

int digit_value(char c) noexcept
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

std::string_view type_prefix(ObjectType type) noexcept
{
    switch (type) {
    case ObjectType::Commit:
        return "commit ";
    case ObjectType::Tree:
        return "tree ";
    case ObjectType::Blob:
        break;
    }
    return "blob ";
}

std::string last_libgit2_error()
{
    const git_error *e = git_error_last();
    return e && e->message ? e->message : "no reason given";
}

} // namespace

std::string Oid::hex() const
{
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string s(2 * bytes.size(), '0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        s[2 * i] = kDigits[bytes[i] >> 4];
        s[2 * i + 1] = kDigits[bytes[i] & 15];
    }
    return s;
}

std::optional<Oid> Oid::from_hex(std::string_view hex)
{
    Oid id;
    if (hex.size() != 2 * id.bytes.size())
        return std::nullopt;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        const int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return std::nullopt;
        id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return id;
}

Sha1 begin_object(ObjectType type, std::size_t size) noexcept
{
    // "tree 123\0", put together from the right: no formatter in the hot path.
    char header[32];
    char *const end = header + sizeof header;
    char *p = end;
    *--p = '\0';
    do {
        *--p = static_cast<char>('0' + size % 10);
    } while (size /= 10);
    const std::string_view prefix = type_prefix(type);
    p -= prefix.size();
    std::memcpy(p, prefix.data(), prefix.size());

    Sha1 sha;
    sha.update({p, static_cast<std::size_t>(end - p)});
    return sha;
}

Oid hash_object(ObjectType type, std::string_view content)
{
    Sha1 sha = begin_object(type, content.size());
    sha.update(content);
    return sha.finish();
}

Oid hash_guest_blob(std::string_view content)
{
    static const int users = git_libgit2_init();
    if (users < 0)
        throw std::runtime_error("libgit2 does not start: " + last_libgit2_error());
    git_oid id;
    const char *data = content.data() ? content.data() : "";
    if (git_odb_hash(&id, data, content.size(), GIT_OBJECT_BLOB) < 0)
        throw HashCollision(last_libgit2_error());
    Oid result;
    static_assert(sizeof id.id == sizeof result.bytes);
    std::memcpy(result.bytes.data(), id.id, sizeof id.id);
    return result;
}

} // namespace xsgit
