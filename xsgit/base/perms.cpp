// SPDX-License-Identifier: MIT
// Permission lists: text form, parsing of client entries, evaluation.
#include "xsgit/base/perms.hpp"

#include "xsgit/base/limits.hpp"

#include <cassert>
#include <charconv>
#include <limits>

namespace xsgit {

namespace {

constexpr std::string_view kLetters = "nrwb"; // index: bits of Access
constexpr std::uint32_t kDomidMax = std::numeric_limits<std::uint16_t>::max();

std::optional<std::uint8_t> access_of_letter(char c) noexcept
{
    const std::size_t i = kLetters.find(c);
    if (i == kLetters.npos)
        return std::nullopt;
    return static_cast<std::uint8_t>(i);
}

/// As isspace() in the C locale, which strtol skips.
bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The whole of `s` as strtol(base 0) reads it, if it is a domid.
std::optional<std::uint16_t> domid_like_strtol(std::string_view s) noexcept
{
    while (!s.empty() && is_blank(s[0]))
        s.remove_prefix(1);
    bool negative = false;
    if (!s.empty() && (s[0] == '+' || s[0] == '-')) {
        negative = s[0] == '-';
        s.remove_prefix(1);
    }
    int base = 10;
    if (s.size() > 1 && s[0] == '0') {
        const bool hex = s[1] == 'x' || s[1] == 'X';
        base = hex ? 16 : 8;
        s.remove_prefix(hex ? 2 : 1);
    }
    // from_chars takes no sign for unsigned numbers and refuses an empty string.
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n, base);
    if (ec != std::errc() || end != s.data() + s.size() || n > kDomidMax || (negative && n != 0))
        return std::nullopt;
    return static_cast<std::uint16_t>(n);
}

bool is_subject(std::uint16_t domid, const Subject &who) noexcept
{
    return domid == who.domid || (who.target && domid == *who.target);
}

} // namespace

char access_letter(std::uint8_t access) noexcept { return kLetters[access & kBoth]; }

PermList::PermList(std::vector<Perm> entries) : entries_(std::move(entries))
{
    assert(!entries_.empty() && !entries_.front().stale);
    text_.reserve(entries_.size() * 3);
    for (const Perm &p : entries_) {
        if (!text_.empty())
            text_ += ',';
        text_ += access_letter(p.access);
        char digits[5];
        text_.append(digits, std::to_chars(digits, digits + sizeof digits, p.domid).ptr);
        if (p.stale)
            text_ += '!';
    }
}

Ref<const PermList> PermList::make(std::vector<Perm> entries)
{
    return Ref<const PermList>(new PermList(std::move(entries)));
}

Ref<const PermList> PermList::from_text(std::string_view text)
{
    std::vector<Perm> entries;
    for (bool more = true; more;) {
        const std::size_t comma = text.find(',');
        more = comma != text.npos;
        std::string_view one = text.substr(0, comma);
        text.remove_prefix(more ? comma + 1 : text.size());

        Perm p;
        p.stale = one.ends_with('!');
        if (p.stale)
            one.remove_suffix(1);
        if (one.size() < 2 || (one[1] == '0' && one.size() > 2))
            return nullptr;
        const auto access = access_of_letter(one[0]);
        const char *last = one.data() + one.size();
        const auto [end, ec] = std::from_chars(one.data() + 1, last, p.domid);
        if (!access || ec != std::errc() || end != last)
            return nullptr;
        p.access = *access;
        entries.push_back(p);
    }
    // The owner decides who may change the list, so there always is one.
    if (entries.front().stale)
        return nullptr;
    return make(std::move(entries));
}

Ref<const PermList> PermList::with_owner(std::uint16_t domid) const
{
    if (domid == owner())
        return Ref<const PermList>(this);
    std::vector<Perm> changed = entries_;
    changed.front().domid = domid;
    return make(std::move(changed));
}

Ref<const PermList> PermList::without(std::uint16_t domid) const
{
    std::vector<Perm> left(entries_.begin(), entries_.begin() + 1);
    for (std::size_t i = 1; i < entries_.size(); ++i)
        if (entries_[i].domid != domid)
            left.push_back(entries_[i]);
    if (left.size() == entries_.size())
        return Ref<const PermList>(this);
    return make(std::move(left));
}

Result<Perm> parse_perm(std::string_view text)
{
    if (text.empty())
        return fail(Error::Einval);
    const auto access = access_of_letter(text[0]);
    const auto domid = domid_like_strtol(text.substr(1));
    if (!access || !domid)
        return fail(Error::Einval);
    return Perm{*domid, *access, false};
}

bool is_owner(const PermList &list, const Subject &who) noexcept
{
    return who.privileged || is_subject(list.owner(), who);
}

std::uint8_t access_of(const PermList &list, const Subject &who) noexcept
{
    if (is_owner(list, who))
        return kBoth;
    const std::vector<Perm> &e = list.entries();
    for (std::size_t i = 1; i < e.size(); ++i)
        if (!e[i].stale && (e[i].domid == kDomidAny || is_subject(e[i].domid, who)))
            return e[i].access;
    return e[0].access;
}

} // namespace xsgit
