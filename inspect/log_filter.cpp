// SPDX-License-Identifier: MIT
// The filters, cheapest first.
#include "inspect/log_filter.hpp"

#include "inspect/failure.hpp"
#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <array>
#include <regex.h>

namespace xsgit::inspect {

namespace {

/// Operations that change nothing but the node they name, what is below, and missing nodes above it.
constexpr std::array<std::string_view, 4> kSimple = {"write", "mkdir", "rm", "set-perms"};

} // namespace

struct Grep::Compiled {
    regex_t regex{};
    bool good = false;
    Compiled() = default;
    Compiled(const Compiled &) = delete;
    Compiled &operator=(const Compiled &) = delete;
    ~Compiled()
    {
        if (good)
            regfree(&regex);
    }
};

Grep::Grep(const std::string &pattern)
{
    const bool upper =
        std::any_of(pattern.begin(), pattern.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    auto c = std::make_shared<Compiled>();
    if (const int error =
            regcomp(&c->regex, pattern.c_str(), REG_EXTENDED | REG_NOSUB | (upper ? 0 : REG_ICASE))) {
        char text[200];
        regerror(error, &c->regex, text, sizeof text);
        throw ToolFailure(kUsage, "not a regular expression: " + escape(pattern) + ": " + text);
    }
    c->good = true;
    compiled_ = std::move(c);
}

bool Grep::matches(const std::string &text) const
{
    return regexec(&compiled_->regex, text.c_str(), 0, nullptr, 0) == 0;
}

bool LogFilter::matches_actor(const LogRecord &r) const
{
    if (errors && r.kind != LogRecord::Kind::Conflict)
        return false;
    if ((since_us && r.time_us < *since_us) || (until_us && r.time_us > *until_us))
        return false;
    if (!domids.empty() && (!r.domid || std::find(domids.begin(), domids.end(), *r.domid) == domids.end()))
        return false;
    return (!conn || r.conn == conn) && (!tx || r.tx == tx);
}

bool LogFilter::matches_operation(const LogRecord &r) const
{
    if (!ops.empty() && std::find(ops.begin(), ops.end(), r.op) == ops.end())
        return false;
    return !grep || grep->matches(r.subject);
}

bool LogFilter::matches_paths(TreeReader &reader, const Oid &before, const Oid &after) const
{
    return paths.empty() || std::any_of(paths.begin(), paths.end(),
                                        [&](const Path &p) { return reader.differs(before, after, p); });
}

bool LogFilter::may_touch_paths(const LogRecord &r) const
{
    if (paths.empty() || r.path.empty() || std::find(kSimple.begin(), kSimple.end(), r.op) == kSimple.end())
        return true;
    const Path named = Path::trusted(r.path);
    return std::any_of(paths.begin(), paths.end(),
                       [&](const Path &p) { return p.contains(named) || named.contains(p); });
}

bool LogFilter::matches_named_path(const LogRecord &r) const
{
    if (paths.empty())
        return true;
    if (r.path.empty())
        return false;
    const Path named = Path::trusted(r.path);
    return std::any_of(paths.begin(), paths.end(), [&](const Path &p) { return p.contains(named); });
}

} // namespace xsgit::inspect
