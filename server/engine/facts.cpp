// SPDX-License-Identifier: MIT
#include "server/engine/facts.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <iterator>

namespace xsgit::server {
namespace {

/// Takes `text` apart at `separator`.
template <class F>
void each(std::string_view text, char separator, F f)
{
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        f(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

std::vector<std::string_view> words_of(std::string_view text)
{
    std::vector<std::string_view> out;
    each(text, ' ', [&](std::string_view w) { out.push_back(w); });
    return out;
}

template <class N>
std::optional<N> number(std::string_view text, int base = 10)
{
    N n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n, base);
    return ec == std::errc() && end == text.data() + text.size() ? std::optional<N>(n) : std::nullopt;
}

constexpr std::string_view kNews[] = {"alive", "shutdown", "dead", "same"};

void separate(std::string &text)
{
    if (!text.empty())
        text += ';';
}

} // namespace

const DomainFact *Facts::domain(std::uint32_t domid) const noexcept
{
    for (const DomainFact &f : domains)
        if (f.domid == domid)
            return &f;
    return nullptr;
}

std::optional<Error> named_error(std::string_view name) noexcept
{
    for (int e = 0; e <= static_cast<int>(Error::Eperm); ++e)
        if (wire_name(static_cast<Error>(e)) == name)
            return static_cast<Error>(e);
    return std::nullopt;
}

Facts parse_facts(std::string_view text)
{
    Facts out;
    each(text, ';', [&](std::string_view item) {
        const auto words = words_of(item);
        if (words.size() == 2 && words[0] == "attach") {
            out.local_port = number<std::uint32_t>(words[1]);
        } else if (words.size() == 2 && words[0] == "outstanding") {
            out.outstanding = number<std::uint64_t>(words[1]).value_or(0);
        } else if (words.size() == 2 && words[0] == "failed") {
            out.failed = named_error(words[1]);
        } else if (words.size() >= 2 && (words[1] == "0" || words[1] == "1")) {
            const auto domid = number<std::uint32_t>(words[0]);
            const auto id =
                words.size() > 2 ? number<std::uint64_t>(words[2], 16) : std::optional<std::uint64_t>(0);
            if (domid && id)
                out.domains.push_back({*domid, words[1] == "1", *id});
        }
    });
    return out;
}

std::vector<DomainNews> parse_news(std::string_view text)
{
    std::vector<DomainNews> out;
    each(text, ';', [&](std::string_view item) {
        const auto words = words_of(item);
        if (words.size() != 3)
            return;
        const auto domid = number<std::uint32_t>(words[0]);
        const auto id = number<std::uint64_t>(words[1], 16);
        for (std::uint8_t what = 0; domid && id && what < std::size(kNews); ++what)
            if (words[2] == kNews[what])
                out.push_back({*domid, *id, static_cast<DomainNews::What>(what)});
    });
    return out;
}

void add_fact(std::string &text, const DomainFact &f)
{
    separate(text);
    if (f.exists)
        fmt::format_to(std::back_inserter(text), "{} 1 {:x}", f.domid, f.unique_id);
    else
        fmt::format_to(std::back_inserter(text), "{} 0", f.domid);
}

void add_attached(std::string &text, std::uint32_t local_port)
{
    separate(text);
    fmt::format_to(std::back_inserter(text), "attach {}", local_port);
}

void add_outstanding(std::string &text, std::uint64_t n)
{
    separate(text);
    fmt::format_to(std::back_inserter(text), "outstanding {}", n);
}

void add_failed(std::string &text, Error e)
{
    separate(text);
    text.append("failed ").append(wire_name(e));
}

void add_news(std::string &text, const DomainNews &n)
{
    separate(text);
    fmt::format_to(std::back_inserter(text), "{} {:x} {}", n.domid, n.unique_id,
                   kNews[static_cast<std::size_t>(n.what)]);
}

} // namespace xsgit::server
