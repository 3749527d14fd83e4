// SPDX-License-Identifier: MIT
// Tree objects taken apart, and what is kept of them.
#include "inspect/tree_reader.hpp"

#include "xsgit/git/sha1.hpp"
#include "xsgit/git/tree_note.hpp"
#include "xsgit/git/tree_text.hpp"
#include "xsgit/git/value_text.hpp"

#include <algorithm>
#include <cstring>

namespace xsgit::inspect {

namespace {

/// Enough for the directories that neighbouring commits have in common.
constexpr std::size_t kCached = 4096;

unsigned digit_of(std::string_view bucket)
{
    const char c = bucket[1];
    return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
}

bool is_bucket(const tree_text::Entry &e)
{
    return e.tree && e.name.size() == 2 &&
           std::string_view("0123456789abcdef").find(e.name[1]) != std::string_view::npos;
}

bool by_name(const NamedNode &a, const NamedNode &b) { return a.name < b.name; }

} // namespace

/// A tree object, taken apart once.
struct TreeReader::Part {
    std::string content;
    std::vector<tree_text::Entry> nodes; // in git's order; names are views into content
    std::array<Oid, 16> buckets{};
    bool has_buckets = false;
    Oid perms, value, hex, special;
};

std::size_t TreeReader::Hash::operator()(const Oid &id) const noexcept
{
    std::size_t h;
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
}

TreeReader::TreeReader(const Repository &repo) : repo_(repo) {}
TreeReader::~TreeReader() = default;

TreeReader::PartRef TreeReader::part(const Oid &id)
{
    if (const auto known = parts_.find(id); known != parts_.end())
        return known->second;
    auto object = repo_.object(id);
    if (!object || object->type != ObjectType::Tree)
        throw GitError("tree " + id.hex() + " in " + repo_.git_dir() + " is missing or not a tree");
    auto p = std::make_shared<Part>();
    p->content = std::move(object->content);
    tree_text::Reader entries(p->content);
    for (tree_text::Entry e; entries.next(e);) {
        if (!e.name.starts_with('%')) {
            p->nodes.push_back(e);
        } else if (is_bucket(e)) {
            p->buckets[digit_of(e.name)] = e.id;
            p->has_buckets = true;
        } else if (e.name == kPermsEntry) {
            p->perms = e.id;
        } else if (e.name == kValueEntry) {
            p->value = e.id;
        } else if (e.name == kHexEntry) {
            p->hex = e.id;
        } else if (e.name == kSpecialEntry) {
            p->special = e.id;
        }
    }
    if (entries.malformed())
        throw GitError("tree " + id.hex() + " in " + repo_.git_dir() +
                       " is not part of a state of the store");
    if (parts_.size() >= kCached)
        parts_.clear();
    parts_.emplace(id, p);
    return p;
}

TreeReader::PermsText TreeReader::perms(const Oid &id, bool bucket)
{
    static const auto nothing = std::make_shared<const ParsedPerms>();
    if (id.is_null() && bucket)
        return nothing;
    if (id.is_null())
        throw GitError("a tree in " + repo_.git_dir() + " is not a state of the store: it has no " +
                       std::string(kPermsEntry));
    auto &cache = bucket ? bucket_perms_ : perms_;
    if (const auto known = cache.find(id); known != cache.end())
        return known->second;
    auto parsed = std::make_shared<ParsedPerms>();
    if (!parse_perms_text(repo_.blob(id), bucket, *parsed))
        throw GitError("blob " + id.hex() + " in " + repo_.git_dir() + " is not the text of a " +
                       std::string(kPermsEntry));
    if (cache.size() >= kCached)
        cache.clear();
    cache.emplace(id, parsed);
    return parsed;
}

PermsRef TreeReader::own_perms(const Part &p) { return perms(p.perms, false)->own; }

std::optional<GitNode> TreeReader::root_node(const Oid &root)
{
    if (root.is_null())
        return std::nullopt;
    return GitNode{root, true, {}};
}

std::optional<GitNode> TreeReader::special(const Oid &root)
{
    if (root.is_null())
        return std::nullopt;
    return root_node(part(root)->special);
}

std::optional<GitNode> TreeReader::child(const GitNode &dir, std::string_view name)
{
    if (!dir.is_tree)
        return std::nullopt;
    PartRef p = part(dir.id);
    const PermsRef own = own_perms(*p);
    bool bucket = false;
    if (p->has_buckets) {
        Sha1 sha;
        sha.update(name);
        const Oid digest = sha.finish();
        for (unsigned level = 0; p->has_buckets; ++level) {
            const Oid &below = p->buckets[bucket_digit(digest, level)];
            if (level == 40 || below.is_null())
                return std::nullopt;
            p = part(below);
            bucket = true;
        }
    }
    for (const tree_text::Entry &e : p->nodes)
        if (e.name == name)
            return GitNode{e.id, e.tree,
                           e.tree ? std::string() : perms(p->perms, bucket)->of(name, own)->text()};
    return std::nullopt;
}

std::optional<GitNode> TreeReader::find(const Oid &root, const Path &path)
{
    if (path.is_special()) {
        const auto dir = special(root);
        return dir ? child(*dir, path.str()) : std::nullopt;
    }
    auto node = root_node(root);
    if (!node || path.is_root())
        return node;
    for (const auto name : path.components()) {
        node = child(*node, name);
        if (!node)
            break;
    }
    return node;
}

Oid TreeReader::value_id(const Part &p, bool &hex) const
{
    hex = !p.hex.is_null();
    return hex ? p.hex : p.value;
}

NodeState TreeReader::state(const GitNode &node)
{
    if (!node.is_tree)
        return {repo_.blob(node.id), node.perms};
    const PartRef p = part(node.id);
    NodeState s{{}, own_perms(*p)->text()};
    bool hex = false;
    const Oid id = value_id(*p, hex);
    if (!id.is_null())
        s.value = repo_.blob(id);
    if (hex) {
        auto bytes = from_hex_text(s.value);
        if (!bytes)
            throw GitError("blob " + id.hex() + " in " + repo_.git_dir() + " is not a line of hex digits");
        s.value = std::move(*bytes);
    }
    return s;
}

bool TreeReader::state_differs(const GitNode &before, const GitNode &after)
{
    if (!before.is_tree || !after.is_tree)
        return state(before) != state(after);
    const PartRef a = part(before.id), b = part(after.id);
    bool hex_a = false, hex_b = false;
    return value_id(*a, hex_a) != value_id(*b, hex_b) || hex_a != hex_b ||
           (a->perms != b->perms && !same_perms(own_perms(*a), own_perms(*b)));
}

void TreeReader::gather(const Part &p, bool bucket, const PermsRef &own, std::vector<NamedNode> &out)
{
    const PermsText list = perms(p.perms, bucket);
    for (const tree_text::Entry &e : p.nodes)
        out.push_back(
            {std::string(e.name), {e.id, e.tree, e.tree ? std::string() : list->of(e.name, own)->text()}});
    if (p.has_buckets)
        for (const Oid &b : p.buckets)
            if (!b.is_null())
                gather(*part(b), true, own, out); // at most 40 deep: the digits of a SHA-1
}

std::vector<NamedNode> TreeReader::children(const GitNode &node)
{
    std::vector<NamedNode> out;
    if (!node.is_tree)
        return out;
    const PartRef p = part(node.id);
    gather(*p, false, own_perms(*p), out);
    std::sort(out.begin(), out.end(), by_name);
    return out;
}

/// The usual case: equal permissions, so that an equal entry is an equal node.
void TreeReader::gather_unlike(const Part &a, const Part &b, bool bucket, const PermsRef &own,
                               std::vector<NamedNode> &out_a, std::vector<NamedNode> &out_b)
{
    const PermsText list = perms(a.perms, bucket);
    const auto put = [&](const tree_text::Entry &e, std::vector<NamedNode> &out) {
        out.push_back(
            {std::string(e.name), {e.id, e.tree, e.tree ? std::string() : list->of(e.name, own)->text()}});
    };
    auto i = a.nodes.begin(), j = b.nodes.begin();
    while (i != a.nodes.end() && j != b.nodes.end()) {
        const int order = tree_text::compare(i->name, i->tree, j->name, j->tree);
        if (order < 0) {
            put(*i++, out_a);
        } else if (order > 0) {
            put(*j++, out_b);
        } else {
            if (i->id != j->id) {
                put(*i, out_a);
                put(*j, out_b);
            }
            ++i, ++j;
        }
    }
    for (; i != a.nodes.end(); ++i)
        put(*i, out_a);
    for (; j != b.nodes.end(); ++j)
        put(*j, out_b);
}

/// What differs and what stands in another kind of part; the caller compares by name.
void TreeReader::gather_differing(const Part &a, const Part &b, bool bucket, const PermsRef &own_a,
                                  const PermsRef &own_b, std::vector<NamedNode> &out_a,
                                  std::vector<NamedNode> &out_b)
{
    const bool same_own = same_perms(own_a, own_b); // leaves may inherit it
    if (!a.has_buckets && !b.has_buckets && same_own && a.perms == b.perms) {
        gather_unlike(a, b, bucket, own_a, out_a, out_b);
        return;
    }
    if (!a.has_buckets || !b.has_buckets) {
        gather(a, bucket, own_a, out_a);
        gather(b, bucket, own_b, out_b);
        return;
    }
    for (std::size_t i = 0; i < a.buckets.size(); ++i) {
        const Oid &x = a.buckets[i], &y = b.buckets[i];
        if (x == y && (same_own || x.is_null()))
            continue;
        if (x.is_null())
            gather(*part(y), true, own_b, out_b);
        else if (y.is_null())
            gather(*part(x), true, own_a, out_a);
        else
            gather_differing(*part(x), *part(y), true, own_a, own_b, out_a, out_b);
    }
}

std::vector<NodePair> TreeReader::differing(const GitNode &before, const GitNode &after)
{
    std::vector<NamedNode> a, b;
    const PartRef x = part(before.id), y = part(after.id);
    gather_differing(*x, *y, false, own_perms(*x), own_perms(*y), a, b);
    std::sort(a.begin(), a.end(), by_name);
    std::sort(b.begin(), b.end(), by_name);
    std::vector<NodePair> out;
    auto i = a.begin(), j = b.begin();
    while (i != a.end() || j != b.end()) {
        if (j == b.end() || (i != a.end() && i->name < j->name)) {
            out.push_back({std::move(i->name), std::move(i->node), std::nullopt});
            ++i;
        } else if (i == a.end() || j->name < i->name) {
            out.push_back({std::move(j->name), std::nullopt, std::move(j->node)});
            ++j;
        } else {
            if (i->node != j->node)
                out.push_back({std::move(i->name), std::move(i->node), std::move(j->node)});
            ++i, ++j;
        }
    }
    return out;
}

bool TreeReader::differs(const Oid &before, const Oid &after, const Path &path)
{
    if (before == after)
        return false;
    if (path.is_special())
        return find(before, path) != find(after, path);
    auto a = root_node(before), b = root_node(after);
    if (path.is_root())
        return a != b;
    for (const auto name : path.components()) {
        if (a)
            a = child(*a, name);
        if (b)
            b = child(*b, name);
        if (a == b)
            return false;
    }
    return true;
}

} // namespace xsgit::inspect
