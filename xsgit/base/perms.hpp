// SPDX-License-Identifier: MIT
// Permission lists as immutable, counted values.
//
// Entry 0 names the owner and the rights of everyone not listed; the entries
// after it are the access control list, first match wins. A stale entry names a
// domain that did not exist when the list was set, or has died since: it is shown,
// and matches nobody.
// Text form (git, tools): "n0,r5,w7!": letter n r w b, domid, "!" when stale.
#pragma once

#include "xsgit/base/ref.hpp"
#include "xsgit/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

enum Access : std::uint8_t { kNone = 0, kRead = 1, kWrite = 2, kBoth = 3 };

struct Perm {
    std::uint16_t domid = 0;
    std::uint8_t access = kNone; // bits of Access
    bool stale = false;
    friend bool operator==(const Perm &, const Perm &) = default;
};

/// 'n' 'r' 'w' 'b'.
char access_letter(std::uint8_t access) noexcept;

class PermList final : public RefCounted<PermList> {
public:
    /// `entries` must not be empty.
    static Ref<const PermList> make(std::vector<Perm> entries);
    static void destroy(const PermList *p) noexcept { delete p; }

    const std::vector<Perm> &entries() const noexcept { return entries_; }
    std::uint16_t owner() const noexcept { return entries_.front().domid; }

    /// "n0,r5,w7!".
    const std::string &text() const noexcept { return text_; }
    /// Reads `text()` back; null when malformed.
    static Ref<const PermList> from_text(std::string_view text);

    /// The same list with another owner domid; letters and the rest unchanged.
    Ref<const PermList> with_owner(std::uint16_t domid) const;

    /// Without the entries (the owner's excepted) that name `domid`; the same list if there are none.
    Ref<const PermList> without(std::uint16_t domid) const;

private:
    explicit PermList(std::vector<Perm> entries);
    ~PermList() = default;
    std::vector<Perm> entries_;
    std::string text_;
};

using PermsRef = Ref<const PermList>;

/// Equal content (pointers may differ). Both non-null.
inline bool same_perms(const PermsRef &a, const PermsRef &b) noexcept
{
    return a == b || a->text() == b->text();
}

/// One entry as a client sends it ("r5"), without its NUL. The number is read
/// like C's strtol(base 0); a missing number or trailing bytes are Einval, and so
/// is a value outside 0..65535.
Result<Perm> parse_perm(std::string_view text);

/// Who asks: the connection's domain and, for a device model stub domain, its target.
struct Subject {
    std::uint32_t domid = 0;
    std::optional<std::uint32_t> target;
    bool privileged = false; // control domain and socket clients: everything is allowed
};

/// Rights of `who` under `list`: bits of Access. The owner (or the owner's stub
/// domain) has both.
std::uint8_t access_of(const PermList &list, const Subject &who) noexcept;
/// Whether `who` is the owner in the sense of SET_PERMS (privileged ones are).
bool is_owner(const PermList &list, const Subject &who) noexcept;

} // namespace xsgit
