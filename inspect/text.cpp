// SPDX-License-Identifier: MIT
// Lines of nodes and changes.
#include "inspect/text.hpp"

#include "xsgit/base/escape.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace xsgit::inspect {

namespace {

bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }

/// As libxenstore's sanitise_value() shows it.
std::string ls_escape(std::string_view value)
{
    std::string out;
    out.reserve(value.size());
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\\')
            out += "\\\\";
        else if (is_printable(c))
            out += c;
        else if (c == '\t')
            out += "\\t";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else
            out += byte < 8 ? fmt::format("\\{:03o}", byte) : fmt::format("\\x{:02x}", byte);
    }
    return out;
}

std::string counted(std::size_t n, const char *what)
{
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

/// "/a/b/c" of "/a/b/c/d".
std::string_view first_components(std::string_view path, std::size_t components)
{
    std::size_t at = 0;
    while (components-- > 0 && at != path.npos)
        at = path.find('/', at + 1);
    return path.substr(0, at);
}

/// Where its parent is, roughly: a domain, a guest's /vm, a top directory.
std::string part_of_store(std::string_view path)
{
    if (path.starts_with('@'))
        return std::string(path);
    const std::size_t slash = path.rfind('/');
    if (slash == 0)
        return "/";
    const std::string_view parent = path.substr(0, slash);
    return std::string(first_components(parent, parent.starts_with("/local/domain/") ? 3 : 2));
}

} // namespace

std::string printable(const std::string &text)
{
    return std::all_of(text.begin(), text.end(), is_printable) ? text : escape(text);
}

std::string node_line(std::string_view path, const NodeState &state)
{
    return fmt::format("{} = \"{}\"   ({})", escape(path), escape(state.value), state.perms);
}

std::string ls_line(std::string_view path, const NodeState &state)
{
    std::string perms = state.perms;
    std::erase(perms, '!');
    return fmt::format("{} = \"{}\"   ({})", escape(path), ls_escape(state.value), perms);
}

std::string change_text(const NodeChange &change, std::string_view indent)
{
    std::string out;
    if (change.before)
        out += fmt::format("{}- {}\n", indent, node_line(change.path, *change.before));
    if (change.after)
        out += fmt::format("{}+ {}\n", indent, node_line(change.path, *change.after));
    return out;
}

char change_letter(const NodeChange &change)
{
    if (change.added())
        return 'A';
    if (change.removed())
        return 'D';
    return change.value_changed() ? 'M' : 'P';
}

void ChangeStat::add(const NodeChange &change)
{
    Count &c = groups_[part_of_store(change.path)];
    ++(change.added() ? c.added : change.removed() ? c.removed : c.changed);
}

std::string ChangeStat::text() const
{
    std::size_t width = 0;
    Count sum;
    for (const auto &[path, c] : groups_) {
        width = std::max(width, escape(path).size());
        sum.added += c.added;
        sum.removed += c.removed;
        sum.changed += c.changed;
    }
    std::string out;
    for (const auto &[path, c] : groups_) {
        out += fmt::format(" {:<{}} | {}", escape(path), width, c.added + c.removed + c.changed);
        if (c.added)
            out += fmt::format(" +{}", c.added);
        if (c.removed)
            out += fmt::format(" -{}", c.removed);
        if (c.changed)
            out += fmt::format(" ~{}", c.changed);
        out += '\n';
    }
    out += fmt::format(" {} added, {} removed, {} changed\n", counted(sum.added, "node"), sum.removed,
                       sum.changed);
    return out;
}

} // namespace xsgit::inspect
