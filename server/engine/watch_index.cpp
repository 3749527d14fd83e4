// SPDX-License-Identifier: MIT
#include "server/engine/watch_index.hpp"

#include <cassert>
#include <set>
#include <utility>

namespace xsgit::server {

namespace {

using Name = std::pair<std::uint64_t, std::string_view>; // of a watch among those on its path

thread_local std::size_t compared; // costs one addition beside each comparison of strings

struct ByName {
    using is_transparent = void;
    static Name name(const Watch *w) noexcept { return {w->conn, w->token}; }
    static Name name(const Name &n) noexcept { return n; }
    bool operator()(const auto &a, const auto &b) const noexcept { return ++compared, name(a) < name(b); }
};

} // namespace

bool WatchIndex::ByText::operator()(std::string_view a, std::string_view b) const noexcept
{
    return ++compared, a < b;
}

std::size_t WatchIndex::comparisons() noexcept { return compared; }

struct WatchIndex::Entry {
    Entry *parent = nullptr;
    std::string name;
    std::set<const Watch *, ByName> watches;
    Entries children;
};

WatchIndex::WatchIndex() : root_(std::make_unique<Entry>()), special_(std::make_unique<Entry>()) {}
WatchIndex::WatchIndex(WatchIndex &&) noexcept = default;
WatchIndex &WatchIndex::operator=(WatchIndex &&) noexcept = default;

WatchIndex::~WatchIndex()
{
    // Leaf by leaf: a client chose how deep this is.
    for (Entry *top : {root_.get(), special_.get()}) {
        Entry *e = top;
        while (e) {
            if (!e->children.empty()) {
                e = e->children.begin()->second.get();
            } else {
                Entry *up = e->parent;
                if (up)
                    up->children.erase(up->children.begin());
                e = up;
            }
        }
    }
}

void WatchIndex::add(const Watch *w)
{
    Entry *e = w->path.is_special() ? special_.get() : root_.get();
    const auto step = [&](std::string_view name) {
        auto it = e->children.find(name);
        if (it == e->children.end()) {
            it = e->children.emplace(std::string(name), std::make_unique<Entry>()).first;
            it->second->parent = e;
            it->second->name = std::string(name);
        }
        e = it->second.get();
    };
    if (w->path.is_special())
        step(w->path.str());
    else
        for (const std::string_view c : w->path.components())
            step(c);
    e->watches.insert(w);
    ++size_;
}

const Watch *WatchIndex::find(const Path &path, std::uint64_t conn, std::string_view token) const
{
    const Entry *e = entry_at(path);
    if (!e)
        return nullptr;
    const auto it = e->watches.find(Name(conn, token));
    return it == e->watches.end() ? nullptr : *it;
}

WatchIndex::Entry *WatchIndex::entry_at(const Path &path) const
{
    Entry *e = path.is_special() ? special_.get() : root_.get();
    const auto step = [&](std::string_view name) {
        const auto it = e->children.find(name);
        e = it == e->children.end() ? nullptr : it->second.get();
    };
    if (path.is_special()) {
        step(path.str());
        return e;
    }
    for (const std::string_view c : path.components()) {
        step(c);
        if (!e)
            break;
    }
    return e;
}

void WatchIndex::remove(const Watch *w)
{
    Entry *e = entry_at(w->path);
    assert(e);
    [[maybe_unused]] const std::size_t removed = e->watches.erase(w);
    assert(removed == 1);
    --size_;
    while (e->parent && e->watches.empty() && e->children.empty()) {
        Entry *up = e->parent;
        up->children.erase(up->children.find(e->name));
        e = up;
    }
}

void WatchIndex::match(const Path &path, bool exact, std::vector<const Watch *> &out,
                       const std::function<bool(std::uint64_t)> &wants) const
{
    const auto take = [&](const Entry *e, std::size_t levels_below) {
        std::uint64_t wanted = 0; // a connection; 0 is none's
        for (auto it = e->watches.begin(); it != e->watches.end();) {
            const Watch *w = *it;
            ++compared;
            if (wants && w->conn != wanted && !wants(w->conn)) {
                it = e->watches.lower_bound(Name(w->conn + 1, {})); // theirs stand together
                continue;
            }
            wanted = w->conn;
            if (w->depth < 0 || levels_below <= static_cast<std::size_t>(w->depth))
                out.push_back(w);
            ++it;
        }
    };
    if (exact || path.is_special()) {
        if (const Entry *e = entry_at(path))
            take(e, 0);
        return;
    }
    std::size_t left = path.depth();
    const Entry *e = root_.get();
    take(e, left);
    for (const std::string_view c : path.components()) {
        const auto it = e->children.find(c);
        if (it == e->children.end())
            return;
        e = it->second.get();
        take(e, --left);
    }
}

void WatchIndex::below(const Path &path, const Node &top, bool children_first,
                       const std::function<void(const Path &, const Node &)> &f) const
{
    const Entry *start = entry_at(path);
    if (!start)
        return;
    struct Level {
        const Entry *entry;
        const Node *node;
        Entries::const_iterator next;
        Path path;
    };
    std::vector<Level> stack;
    stack.push_back({start, &top, start->children.begin(), path});
    const auto visit = [&](const Level &l) {
        if (stack.size() > 1 && !l.entry->watches.empty())
            f(l.path, *l.node);
    };
    while (!stack.empty()) {
        Level &l = stack.back();
        if (l.next == l.entry->children.end()) {
            if (children_first)
                visit(l);
            stack.pop_back();
            continue;
        }
        const auto it = l.next++;
        const Node *child = l.node->children().find(it->first);
        if (!child)
            continue;
        stack.push_back({it->second.get(), child, it->second->children.begin(), l.path.child(it->first)});
        if (!children_first)
            visit(stack.back());
    }
}

} // namespace xsgit::server
