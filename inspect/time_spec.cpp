// SPDX-License-Identifier: MIT
// Times: a small scanner, and strftime.
#include "inspect/time_spec.hpp"

#include <charconv>
#include <chrono>
#include <ctime>
#include <fmt/core.h>

namespace xsgit::inspect {

namespace {

constexpr std::int64_t kSecond = 1'000'000;

struct Unit {
    std::string_view name;
    std::int64_t us;
};
constexpr Unit kUnits[] = {
    {"us", 1},
    {"usec", 1},
    {"ms", 1000},
    {"msec", 1000},
    {"s", kSecond},
    {"sec", kSecond},
    {"second", kSecond},
    {"seconds", kSecond},
    {"m", 60 * kSecond},
    {"min", 60 * kSecond},
    {"minute", 60 * kSecond},
    {"minutes", 60 * kSecond},
    {"h", 3600 * kSecond},
    {"hr", 3600 * kSecond},
    {"hour", 3600 * kSecond},
    {"hours", 3600 * kSecond},
    {"d", 86400 * kSecond},
    {"day", 86400 * kSecond},
    {"days", 86400 * kSecond},
    {"w", 7 * 86400 * kSecond},
    {"week", 7 * 86400 * kSecond},
    {"weeks", 7 * 86400 * kSecond},
    {"M", 2629800 * kSecond},
    {"month", 2629800 * kSecond},
    {"months", 2629800 * kSecond},
    {"y", 31557600 * kSecond},
    {"year", 31557600 * kSecond},
    {"years", 31557600 * kSecond},
};

/// Reads from the front of a text; every function leaves it alone when it fails.
struct Scanner {
    std::string_view rest;

    bool skip(char c)
    {
        if (!rest.starts_with(c))
            return false;
        rest.remove_prefix(1);
        return true;
    }
    void blanks()
    {
        while (skip(' ')) {
        }
    }
    /// `least` to `most` digits.
    std::optional<std::int64_t> number(std::size_t least, std::size_t most)
    {
        std::size_t n = 0;
        while (n < rest.size() && rest[n] >= '0' && rest[n] <= '9')
            ++n;
        if (n < least || n > most)
            return std::nullopt;
        std::int64_t value = 0;
        std::from_chars(rest.data(), rest.data() + n, value);
        rest.remove_prefix(n);
        return value;
    }
    /// ".25" in microseconds; 0 if there is none.
    std::optional<std::int64_t> fraction()
    {
        if (!skip('.'))
            return 0;
        std::int64_t us = 0, scale = kSecond;
        std::size_t n = 0;
        for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1), ++n) {
            scale /= 10;
            us += (rest[0] - '0') * scale;
        }
        if (n == 0)
            return std::nullopt;
        return us;
    }
    std::string_view word()
    {
        std::size_t n = 0;
        while (n < rest.size() && ((rest[n] >= 'a' && rest[n] <= 'z') || rest[n] == 'M'))
            ++n;
        const std::string_view w = rest.substr(0, n);
        rest.remove_prefix(n);
        return w;
    }
};

/// "1h30min", "10 seconds".
std::optional<std::int64_t> parse_span(std::string_view text)
{
    Scanner s{text};
    std::int64_t total = 0;
    bool any = false;
    for (s.blanks(); !s.rest.empty(); s.blanks()) {
        const auto n = s.number(1, 9);
        const auto part = n ? s.fraction() : std::nullopt;
        if (!part)
            return std::nullopt;
        s.blanks();
        const std::string_view name = s.word();
        const Unit *found = nullptr;
        for (const Unit &u : kUnits)
            if (u.name == name)
                found = &u;
        if (!found)
            return std::nullopt;
        total += *n * found->us + *part * found->us / kSecond;
        any = true;
    }
    return any ? std::optional(total) : std::nullopt;
}

std::tm broken_down(std::int64_t us, bool utc)
{
    const std::time_t seconds = static_cast<std::time_t>(us / kSecond - (us % kSecond < 0 ? 1 : 0));
    std::tm tm{};
    if (utc)
        gmtime_r(&seconds, &tm);
    else
        localtime_r(&seconds, &tm);
    return tm;
}

std::int64_t composed(std::tm tm, bool utc)
{
    tm.tm_isdst = -1;
    return static_cast<std::int64_t>(utc ? timegm(&tm) : std::mktime(&tm)) * kSecond;
}

std::int64_t midnight(std::int64_t now, int days, bool utc)
{
    std::tm tm = broken_down(now, utc);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_mday += days;
    return composed(tm, utc);
}

/// "10:23", "10:23:41.5" into `tm`; the fraction is returned.
std::optional<std::int64_t> parse_clock(Scanner &s, std::tm &tm)
{
    const auto hour = s.number(1, 2);
    if (!hour || *hour > 23 || !s.skip(':'))
        return std::nullopt;
    const auto minute = s.number(2, 2);
    if (!minute || *minute > 59)
        return std::nullopt;
    std::int64_t second = 0, part = 0;
    if (s.skip(':')) {
        const auto n = s.number(2, 2);
        const auto f = n && *n <= 60 ? s.fraction() : std::nullopt;
        if (!f)
            return std::nullopt;
        second = *n;
        part = *f;
    }
    tm.tm_hour = static_cast<int>(*hour);
    tm.tm_min = static_cast<int>(*minute);
    tm.tm_sec = static_cast<int>(second);
    return part;
}

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now, bool utc)
{
    Scanner s{text};
    if (s.rest.ends_with("UTC")) {
        s.rest.remove_suffix(3);
        utc = true;
    } else if (s.rest.ends_with('Z')) {
        s.rest.remove_suffix(1);
        utc = true;
    }
    while (s.rest.ends_with(' '))
        s.rest.remove_suffix(1);
    std::tm tm = broken_down(now, utc);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    std::int64_t part = 0;
    Scanner date = s;
    if (const auto year = date.number(4, 4); year && date.skip('-')) {
        const auto month = date.number(1, 2);
        if (!month || *month < 1 || *month > 12 || !date.skip('-'))
            return std::nullopt;
        const auto day = date.number(1, 2);
        if (!day || *day < 1 || *day > 31)
            return std::nullopt;
        tm.tm_year = static_cast<int>(*year) - 1900;
        tm.tm_mon = static_cast<int>(*month) - 1;
        tm.tm_mday = static_cast<int>(*day);
        s = date;
        if (s.rest.empty())
            return composed(tm, utc);
        if (!s.skip('T') && !s.skip(' '))
            return std::nullopt;
        s.blanks();
    }
    const auto f = parse_clock(s, tm);
    if (!f || !s.rest.empty())
        return std::nullopt;
    part = *f;
    return composed(tm, utc) + part;
}

std::string formatted(const char *format, std::int64_t us, bool utc)
{
    const std::tm tm = broken_down(us, utc);
    char text[96];
    return {text, std::strftime(text, sizeof text, format, &tm)};
}

std::int64_t micros(std::int64_t us) { return (us % kSecond + kSecond) % kSecond; }

} // namespace

std::optional<std::int64_t> parse_time(std::string_view text, std::int64_t now, bool utc)
{
    if (text == "now")
        return now;
    if (text == "today")
        return midnight(now, 0, utc);
    if (text == "yesterday")
        return midnight(now, -1, utc);
    if (text == "tomorrow")
        return midnight(now, 1, utc);
    if (text.starts_with("now") && text.size() > 3)
        text.remove_prefix(3);
    if (text.starts_with('-') || text.starts_with('+')) {
        const auto span = parse_span(text.substr(1));
        if (!span)
            return std::nullopt;
        return text[0] == '-' ? now - *span : now + *span;
    }
    if (text.ends_with(" ago")) {
        const auto span = parse_span(text.substr(0, text.size() - 4));
        return span ? std::optional(now - *span) : std::nullopt;
    }
    if (text.starts_with('@')) {
        Scanner s{text.substr(1)};
        const auto seconds = s.number(1, 11);
        const auto part = seconds ? s.fraction() : std::nullopt;
        return part && s.rest.empty() ? std::optional(*seconds * kSecond + *part) : std::nullopt;
    }
    return parse_date(text, now, utc);
}

std::string short_time(std::int64_t us, bool utc)
{
    return fmt::format("{}.{:06}", formatted("%b %d %H:%M:%S", us, utc), micros(us));
}

std::string long_time(std::int64_t us, bool utc)
{
    return fmt::format("{}.{:06} {}", formatted("%a %Y-%m-%d %H:%M:%S", us, utc), micros(us),
                       utc ? "UTC" : formatted("%Z", us, utc));
}

std::string iso_time(std::int64_t us)
{
    return fmt::format("{}.{:06}Z", formatted("%Y-%m-%dT%H:%M:%S", us, true), micros(us));
}

std::int64_t now_us()
{
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace xsgit::inspect
