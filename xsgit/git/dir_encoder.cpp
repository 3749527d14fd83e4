// SPDX-License-Identifier: MIT
#include "xsgit/git/dir_encoder.hpp"

#include "xsgit/git/sha1.hpp"
#include "xsgit/git/tree_text.hpp"
#include "xsgit/git/value_text.hpp"

#include <algorithm>

namespace xsgit {

namespace {

/// More changes than this at once: writing the object anew is cheaper than editing it.
constexpr std::size_t kEdits = 16;

/// As tree_text has it: no byte has changed.
constexpr std::size_t kNowhere = std::string::npos;

Oid digest_of(std::string_view name)
{
    Sha1 sha;
    sha.update(name);
    return sha.finish();
}

std::size_t count_after(std::size_t count, std::span<const ChildChange> changes) noexcept
{
    for (const ChildChange &c : changes)
        count = count + (c.before ? 0 : 1) - (c.after ? 0 : 1);
    return count;
}

bool git_less(const Node *a, const Node *b) noexcept
{
    return tree_text::compare(a->name(), is_git_tree(*a), b->name(), is_git_tree(*b)) < 0;
}

} // namespace

void DirEncoder::build(Part &part)
{
    std::vector<const Node *> nodes;
    nodes.reserve(dir_.children().size());
    for (auto c = dir_.children().begin(); c.get(); c.next())
        nodes.push_back(c.get());
    if (nodes.size() <= kFlatChildren) {
        build_flat(part, std::move(nodes), 0);
        return;
    }
    std::vector<Hashed> hashed;
    hashed.reserve(nodes.size());
    for (const Node *n : nodes)
        hashed.push_back({n, digest_of(n->name())});
    std::sort(hashed.begin(), hashed.end(),
              [](const Hashed &a, const Hashed &b) { return a.digest < b.digest; });
    build_split(part, hashed, 0);
}

void DirEncoder::build_part(Part &part, std::span<Hashed> nodes, unsigned level)
{
    if (nodes.size() > kFlatChildren) {
        build_split(part, nodes, level);
        return;
    }
    std::vector<const Node *> flat;
    flat.reserve(nodes.size());
    for (const Hashed &h : nodes)
        flat.push_back(h.node);
    build_flat(part, std::move(flat), level);
}

void DirEncoder::build_flat(Part &part, std::vector<const Node *> nodes, unsigned level)
{
    if (!std::is_sorted(nodes.begin(), nodes.end(), git_less))
        std::sort(nodes.begin(), nodes.end(), git_less);
    std::size_t bytes = 96;
    for (const Node *n : nodes)
        bytes += n->name().size() + 28;
    part.content.clear();
    part.content.reserve(bytes);
    part.leaf_perms = nullptr;
    part.buckets.reset();
    part.count = nodes.size();
    PermCounts counts;
    for (const Node *n : nodes) {
        tree_text::append(part.content, n->name(), is_git_tree(*n), oid_of(*n));
        if (!is_git_tree(*n))
            counts.add(n->perms());
    }
    if (level == 0)
        add_own_entries(part);
    set_perms(part, std::move(counts), level);
    finish(part, nullptr, 0);
}

void DirEncoder::build_split(Part &part, std::span<Hashed> nodes, unsigned level)
{
    assert(level < 40);
    part.content.clear();
    part.leaf_perms = nullptr;
    part.count = nodes.size();
    part.buckets = std::make_unique<Part::Buckets>();
    while (!nodes.empty()) {
        const unsigned digit = bucket_digit(nodes.front().digest, level);
        const auto end = std::find_if(nodes.begin(), nodes.end(), [&](const Hashed &h) {
            return bucket_digit(h.digest, level) != digit;
        });
        const auto n = static_cast<std::size_t>(end - nodes.begin());
        Ref<Part> bucket(new Part);
        build_part(*bucket, nodes.first(n), level + 1);
        tree_text::append(part.content, bucket_entry(digit), true, bucket->oid);
        (*part.buckets)[digit] = std::move(bucket);
        nodes = nodes.subspan(n);
    }
    if (level == 0)
        add_own_entries(part);
    set_perms(part, {}, level);
    finish(part, nullptr, 0);
}

void DirEncoder::add_own_entries(Part &part)
{
    put_value(part);
    if (special_)
        tree_text::set(part.content, kSpecialEntry, true, *special_);
}

void DirEncoder::put_value(Part &part)
{
    if (dir_.value().empty())
        return;
    const ValueBlob blob = put_value_blob(dir_.value(), out_);
    tree_text::set(part.content, blob.hex ? kHexEntry : kValueEntry, false, blob.oid);
}

void DirEncoder::update(Part &part, const Part &old, const Node &old_dir,
                        std::span<const ChildChange> changes)
{
    old_dir_ = &old_dir;
    own_perms_changed_ = !same_perms(old_dir.perms(), dir_.perms());
    update_part(part, old, changes, 0);
}

bool DirEncoder::update_part(Part &part, const Part &old, std::span<const ChildChange> changes,
                             unsigned level)
{
    const std::size_t count = count_after(old.count, changes);
    const bool split = count > kFlatChildren;
    if (split != (old.buckets != nullptr) || (!split && changes.size() > kEdits)) {
        rebuild(part, old, changes, level);
        return true;
    }
    std::size_t first = split ? edit_split(part, changes, level) : edit_flat(part, changes, level);
    part.count = count;
    if (level == 0)
        first = std::min(first, edit_own_entries(part));
    if (first == kNowhere)
        return false;
    finish(part, &old, first);
    return true;
}

std::size_t DirEncoder::edit_flat(Part &part, std::span<const ChildChange> changes, unsigned level)
{
    std::size_t first = kNowhere;
    bool leaf_lists_changed = own_perms_changed_;
    const auto is_leaf = [](const Node *n) { return n && !is_git_tree(*n); };
    for (const ChildChange &c : changes) {
        if (c.before && (!c.after || is_git_tree(*c.before) != is_git_tree(*c.after)))
            first = std::min(first, tree_text::erase(part.content, c.before->name(), is_git_tree(*c.before)));
        if (c.after)
            first = std::min(first, tree_text::set(part.content, c.after->name(), is_git_tree(*c.after),
                                                   oid_of(*c.after)));
        if (is_leaf(c.before) != is_leaf(c.after) ||
            (is_leaf(c.after) && !same_perms(c.before->perms(), c.after->perms())))
            leaf_lists_changed = true;
    }
    if (!leaf_lists_changed)
        return first;
    PermCounts counts = part.leaf_perms->counts;
    for (const ChildChange &c : changes) {
        if (is_leaf(c.before))
            counts.remove(c.before->perms());
        if (is_leaf(c.after))
            counts.add(c.after->perms());
    }
    return std::min(first, set_perms(part, std::move(counts), level));
}

std::size_t DirEncoder::edit_split(Part &part, std::span<const ChildChange> changes, unsigned level)
{
    // Changes of one bucket must stand together.
    std::vector<std::pair<unsigned, ChildChange>> sorted;
    sorted.reserve(changes.size());
    for (const ChildChange &c : changes)
        sorted.emplace_back(bucket_digit(digest_of((c.after ? c.after : c.before)->name()), level), c);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto &a, const auto &b) { return a.first < b.first; });
    std::vector<ChildChange> of_bucket;
    std::size_t first = kNowhere;
    auto next = sorted.begin();
    for (unsigned digit = 0; digit < 16; ++digit) {
        of_bucket.clear();
        for (; next != sorted.end() && next->first == digit; ++next)
            of_bucket.push_back(next->second);
        Ref<Part> &slot = (*part.buckets)[digit];
        if (of_bucket.empty() && !(own_perms_changed_ && slot))
            continue;
        const Ref<Part> old = slot ? slot : Ref<Part>(new Part);
        if (count_after(old->count, of_bucket) == 0) {
            slot = nullptr;
            first = std::min(first, tree_text::erase(part.content, bucket_entry(digit), true));
            continue;
        }
        Ref<Part> bucket(new Part(*old));
        if (old->count == 0)
            rebuild(*bucket, *old, of_bucket, level + 1);
        else if (!update_part(*bucket, *old, of_bucket, level + 1)) {
            // The same bytes; but leaf_perms may count other leaves now.
            slot = std::move(bucket);
            continue;
        }
        first = std::min(first, tree_text::set(part.content, bucket_entry(digit), true, bucket->oid));
        slot = std::move(bucket);
    }
    if (level == 0 && own_perms_changed_)
        first = std::min(first, set_perms(part, {}, level));
    return first;
}

std::size_t DirEncoder::edit_own_entries(Part &part)
{
    std::size_t first = kNowhere;
    if (old_dir_->value_ref() != dir_.value_ref() && old_dir_->value() != dir_.value()) {
        tree_text::erase(part.content, kValueEntry, false);
        tree_text::erase(part.content, kHexEntry, false);
        put_value(part);
        first = 0;
    }
    if (special_)
        first = std::min(first, tree_text::set(part.content, kSpecialEntry, true, *special_));
    return first;
}

void DirEncoder::rebuild(Part &part, const Part &old, std::span<const ChildChange> changes, unsigned level)
{
    if (level == 0) {
        build(part);
        return;
    }
    std::vector<Hashed> nodes;
    const auto add = [&nodes](const Node *n) { nodes.push_back({n, digest_of(n->name())}); };
    // What stands in `old` and was not changed is found by name among dir's children.
    std::vector<std::string_view> touched;
    for (const ChildChange &c : changes) {
        touched.push_back((c.after ? c.after : c.before)->name());
        if (c.after)
            add(c.after);
    }
    std::sort(touched.begin(), touched.end());
    std::vector<const Part *> todo{&old};
    while (!todo.empty()) {
        const Part *const p = todo.back();
        todo.pop_back();
        if (p->buckets) {
            for (const Ref<Part> &b : *p->buckets)
                if (b)
                    todo.push_back(b.get());
            continue;
        }
        tree_text::Reader entries(p->content);
        for (tree_text::Entry e; entries.next(e);)
            if (e.name[0] != '%' && !std::binary_search(touched.begin(), touched.end(), e.name))
                add(dir_.children().find(e.name));
    }
    std::sort(nodes.begin(), nodes.end(),
              [](const Hashed &a, const Hashed &b) { return a.digest < b.digest; });
    build_part(part, nodes, level);
}

std::size_t DirEncoder::set_perms(Part &part, PermCounts counts, unsigned level)
{
    const bool bucket = level != 0;
    std::vector<const Node *> leaves;
    if (counts.distinct() > 1)
        leaves = leaves_of(part, level);
    std::string text = perms_text(*dir_.perms(), bucket, counts, leaves);
    if (part.leaf_perms && part.leaf_perms->text == text) {
        part.leaf_perms =
            Ref<const LeafPerms>(new LeafPerms(std::move(counts), std::move(text), part.leaf_perms->oid));
        return kNowhere;
    }
    if (text.empty()) {
        part.leaf_perms = Ref<const LeafPerms>(new LeafPerms(std::move(counts), {}, {}));
        return tree_text::erase(part.content, kPermsEntry, false);
    }
    const Oid oid = hash_object(ObjectType::Blob, text);
    out_.put(ObjectType::Blob, oid, text);
    part.leaf_perms = Ref<const LeafPerms>(new LeafPerms(std::move(counts), std::move(text), oid));
    return tree_text::set(part.content, kPermsEntry, false, oid);
}

std::vector<const Node *> DirEncoder::leaves_of(const Part &part, unsigned level) const
{
    std::vector<const Node *> leaves;
    if (level == 0) {
        for (auto c = dir_.children().begin(); c.get(); c.next())
            if (!is_git_tree(*c.get()))
                leaves.push_back(c.get());
        return leaves;
    }
    tree_text::Reader entries(part.content);
    for (tree_text::Entry e; entries.next(e);)
        if (!e.tree && e.name[0] != '%')
            leaves.push_back(dir_.children().find(e.name));
    return leaves;
}

/// `same`: how many bytes at the beginning are those of `old`.
void DirEncoder::finish(Part &part, const Part *old, std::size_t same)
{
    part.oid = hash_tree(part.content, same, part.marks);
    part.placement = old ? out_.put(ObjectType::Tree, part.oid, part.content, &old->placement, old->content)
                         : out_.put(ObjectType::Tree, part.oid, part.content);
}

} // namespace xsgit
