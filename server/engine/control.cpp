// SPDX-License-Identifier: MIT
// CONTROL: what concerns the state is done here; what touches the world (log files, publication) the server does
// and hands over as a fact. Settings of the command line come by an event of their own.
#include "server/engine/control.hpp"

#include "server/engine/state_impl.hpp"

#include <fmt/core.h>
#include <iterator>

namespace xsgit::server {
namespace {

constexpr ControlCommand kCommands[] = {
    {"check", "", false},
    {"log", "[on|off|+<switch>|-<switch>]", true},
    {"live-update", "(tells how this daemon is updated)", false},
    {"logfile", "<file>", true},
    {"memreport", "[<file>]", true},
    {"print", "<string>", true},
    {"quota", "[set <name> <val>|<domid>|max [-r]]", false},
    {"quota-soft", "[set <name> <val>]", false},
    {"status", "", true},
    {"sync", "", true},
    {"help", "", false},
};

/// The other daemons execute another program with their state. This one needs no such request, and whoever sends it
/// should hear what to do instead. Nothing but "OK" is taken for success.
constexpr std::string_view kHowToUpdate = "This daemon is not updated by live-update. Install the new one, "
                                          "then start it in place of the one that runs; "
                                          "guests and connections do not notice:\n"
                                          "    xsgit-service update              where it is a service\n"
                                          "    xenstored-git --repo <the same>   else\n"
                                          "xenstored-git(8) says more.";

template <class... A>
void put(std::string &text, fmt::format_string<A...> f, A &&...a)
{
    fmt::format_to(std::back_inserter(text), f, std::forward<A>(a)...);
}

std::string help()
{
    std::string text;
    for (const ControlCommand &c : kCommands)
        put(text, "{:<15} {}\n", c.name, c.parameters);
    return text;
}

bool is_soft(Quota q) { return q == Quota::SoftMemory; }

/// The name in `quota` and `quota-soft`, which have no prefix for the soft ones.
std::string_view short_name(Quota q)
{
    const std::string_view name = quota_name(q);
    return is_soft(q) ? name.substr(std::string_view("soft-").size()) : name;
}

std::string limits(const Quotas &quotas, bool soft)
{
    std::string text = "Quota settings:\n";
    for (std::size_t i = 0; i < kQuotas; ++i)
        if (is_soft(quota_at(i)) == soft)
            put(text, "{:<17}: {:8} {}\n", short_name(quota_at(i)), quotas[quota_at(i)],
                quota_text(quota_at(i)));
    return text;
}

Result<std::string> set_limit(Quotas &quotas, bool soft, std::string_view name, std::string_view value)
{
    if (!soft && name == "permissions") // until 4.17
        name = quota_name(Quota::NodePermissions);
    const long n = parse_atoi(value);
    if (n < 1 || n >= 0xffffffffL)
        return fail(Error::Einval);
    for (std::size_t i = 0; i < kQuotas; ++i)
        if (is_soft(quota_at(i)) == soft && short_name(quota_at(i)) == name) {
            quotas[quota_at(i)] = static_cast<std::uint32_t>(n);
            return "OK";
        }
    return fail(Error::Einval);
}

/// In the order of `quota`.
constexpr Quota kShown[] = {Quota::Nodes,           Quota::Watches,      Quota::Outstanding,
                            Quota::Memory,          Quota::Transactions, Quota::TransactionNodes,
                            Quota::NodePermissions, Quota::PathMax,      Quota::NodeSize};

} // namespace

const ControlCommand *control_command(std::string_view name) noexcept
{
    for (const ControlCommand &c : kCommands)
        if (c.name == name)
            return &c;
    return nullptr;
}

/// quota [set <name> <val> | <domid> | max [-r]]
static Result<std::string> quota(State::Impl &s, const std::vector<std::string_view> &args,
                                 const Facts &facts)
{
    if (args.empty())
        return limits(s.quotas, false);
    if (args[0] == "set")
        return args.size() == 3 ? set_limit(s.quotas, false, args[1], args[2]) : fail(Error::Einval);
    std::string text;
    if (args[0] == "max") {
        if (args.size() > 2 || (args.size() == 2 && args[1] != "-r"))
            return fail(Error::Einval);
        if (args.size() == 2)
            s.forget_peaks();
        note_peak(s.peak, Quota::Outstanding, facts.outstanding);
        text = "Max. seen accounting values:\n";
        for (const Quota q : kShown)
            put(text, "{:<17}: {:8}\n", quota_name(q), s.peak[static_cast<std::size_t>(q)]);
        return text;
    }
    // The C daemon reads a word as 0, and would show domain 0 to somebody who misspelt another one.
    const auto domid = args.size() == 1 && !args[0].empty() ? parse_domid(args[0]) : std::nullopt;
    if (!domid)
        return fail(Error::Einval);
    const auto it = s.domains.find(*domid);
    if (it == s.domains.end())
        return fail(Error::Enoent);
    Domain &d = it->second;
    // Answers that were not taken are no state: their number is known only when somebody asks, and so is the highest.
    s.note(d, Quota::Outstanding, facts.outstanding);
    const auto c = s.clients.find(d.conn);
    const Client *const client = c == s.clients.end() ? nullptr : &c->second;
    text = fmt::format("Domain {}:\n", *domid);
    for (const Quota q : kShown) {
        const std::uint64_t now = q == Quota::Outstanding ? facts.outstanding : s.used(d, client, q);
        put(text, "{:<17}: {:8} (max {:8})\n", quota_name(q), now,
            std::max(now, d.peak[static_cast<std::size_t>(q)]));
    }
    return text;
}

static Result<std::string> answer(State::Impl &s, std::string_view command,
                                  const std::vector<std::string_view> &args, const Facts &facts)
{
    if (command == "quota")
        return quota(s, args, facts);
    if (command == "quota-soft") {
        if (args.empty())
            return limits(s.quotas, true);
        return args.size() == 3 && args[0] == "set" ? set_limit(s.quotas, true, args[1], args[2])
                                                    : fail(Error::Einval);
    }
    if (command == "live-update")
        return std::string(kHowToUpdate);
    if (!args.empty())
        return fail(Error::Einval);
    if (command == "check") {
        // Everything else in the state is what it says; the sums are derived.
        s.accounts = Accounts::of(s.tree);
        return "OK";
    }
    return help();
}

Result<void> State::Impl::control(Step &s)
{
    const auto args = arguments(s.request.payload, kPayloadMax);
    const ControlCommand *c = args.empty() ? nullptr : control_command(args[0]);
    if (!c)
        return fail(Error::Einval);
    std::string text;
    if (c->by_server) {
        const std::string_view fact = s.event.facts;
        if (!fact.starts_with('+'))
            return fail(
                named_error(fact.substr(std::min<std::size_t>(1, fact.size()))).value_or(Error::Einval));
        text = fact.substr(1);
    } else {
        Result<std::string> r = answer(*this, args[0], {args.begin() + 1, args.end()}, s.facts);
        if (!r)
            return fail(r.error());
        text = std::move(*r);
    }
    text.push_back('\0');
    if (text.size() > kPayloadMax)
        return fail(Error::E2big);
    s.reply(text);
    return {};
}

/// "<quota> <number>" each, and "keep-orphans 1".
void State::Impl::settings(const Event &e)
{
    std::string_view rest = e.facts;
    while (!rest.empty()) {
        const std::string_view item = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(item.size() + 1, rest.size()));
        const std::size_t blank = std::min(item.find(' '), item.size());
        const long n = parse_atoi(item.substr(std::min(blank + 1, item.size())));
        if (const auto q = quota_named(item.substr(0, blank)); q && n >= 0 && n < 0xffffffffL)
            quotas[*q] = static_cast<std::uint32_t>(n);
        else if (item.substr(0, blank) == "keep-orphans")
            keep_orphans = n != 0;
    }
}

} // namespace xsgit::server
