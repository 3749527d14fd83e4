// SPDX-License-Identifier: MIT
// The inverse of the encoder: git objects to a state tree that carries its annotations.
#include "xsgit/git/repository.hpp"
#include "xsgit/git/sha1.hpp"
#include "xsgit/git/tree_note.hpp"
#include "xsgit/git/tree_text.hpp"
#include "xsgit/git/value_text.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <unordered_map>

namespace xsgit {

namespace {

constexpr std::size_t kCachedDirs = 100'000;

struct OidHash {
    std::size_t operator()(const Oid &id) const noexcept
    {
        std::size_t h;
        std::memcpy(&h, id.bytes.data(), sizeof h);
        return h;
    }
};

/// The permissions of leaves stand above them, so tree id and name say all of a directory.
struct DirKey {
    Oid id;
    std::string name;
    friend bool operator==(const DirKey &, const DirKey &) = default;
};

struct DirKeyHash {
    std::size_t operator()(const DirKey &k) const noexcept
    {
        return OidHash()(k.id) ^ std::hash<std::string>()(k.name);
    }
};

} // namespace

class LoadCache {
public:
    std::unordered_map<DirKey, NodeRef, DirKeyHash> dirs;
    std::unordered_map<Oid, BytesRef, OidHash> values;
    std::unordered_map<Oid, std::shared_ptr<const ParsedPerms>, OidHash> perms;
    std::unordered_map<Oid, std::shared_ptr<const ParsedPerms>, OidHash> bucket_perms;
    std::unordered_map<std::string, PermsRef> lists;

    /// Before a load: what grew too large is forgotten.
    void trim()
    {
        if (dirs.size() <= limit_ && values.size() <= 4 * limit_)
            return;
        const std::size_t held = dirs.size();
        *this = {};
        limit_ = std::max(kCachedDirs, held); // a store of that size does not empty the cache each time
    }

private:
    std::size_t limit_ = kCachedDirs;
};

std::shared_ptr<LoadCache> make_load_cache() { return std::make_shared<LoadCache>(); }

namespace {

/// Where a tree object stands: in which directory, and below which digits of it.
struct Place {
    bool root = false;
    std::vector<unsigned> digits;
};

class Loader {
public:
    Loader(const Repository &repo, std::uint32_t epoch, LoadCache &cache)
        : repo_(repo), epoch_(epoch), cache_(cache)
    {
    }

    Tree load(const Oid &id)
    {
        Frame root = open_dir({}, id, true);
        NodeRef special = load_dir(std::string(kSpecialEntry), root.special);
        std::vector<Frame> stack;
        stack.push_back(std::move(root));
        return Tree(load_rest(stack), std::move(special));
    }

private:
    struct SubDir {
        std::string name;
        Oid id;
    };
    /// A directory being read: its leaves are there, its subdirectories are being added.
    struct Frame {
        std::string name;
        Oid id;
        std::unique_ptr<DirNote> note;
        PermsRef own;
        BytesRef value;
        std::vector<NodeRef> children;
        std::vector<SubDir> todo;
        Oid special;
        bool may_be_childless = false;
    };

    [[noreturn]] void bad(const Oid &id, std::string_view what) const
    {
        throw GitError("object " + id.hex() + " in " + repo_.git_dir() +
                       " is damaged or not written by us: " + std::string(what));
    }

    NodeRef load_dir(std::string name, const Oid &id)
    {
        if (NodeRef known = cached(name, id))
            return known;
        std::vector<Frame> stack;
        stack.push_back(open_dir(std::move(name), id, false));
        return load_rest(stack);
    }

    NodeRef load_rest(std::vector<Frame> &stack)
    {
        for (;;) {
            Frame &top = stack.back();
            if (top.todo.empty()) {
                NodeRef done = close_dir(top);
                stack.pop_back();
                if (stack.empty())
                    return done;
                stack.back().children.push_back(std::move(done));
                continue;
            }
            SubDir next = std::move(top.todo.back());
            top.todo.pop_back();
            if (NodeRef known = cached(next.name, next.id))
                top.children.push_back(std::move(known));
            else
                stack.push_back(open_dir(std::move(next.name), next.id, false));
        }
    }

    NodeRef cached(const std::string &name, const Oid &id) const
    {
        const auto known = cache_.dirs.find(DirKey{id, name});
        return known == cache_.dirs.end() ? NodeRef() : known->second;
    }

    Frame open_dir(std::string name, const Oid &id, bool root)
    {
        Frame f;
        f.name = std::move(name);
        f.id = id;
        f.may_be_childless = root || f.name == kSpecialEntry;
        f.note = std::make_unique<DirNote>(epoch_);
        Place place{root, {}};
        read_part(f, f.note->part, id, place);
        return f;
    }

    NodeRef close_dir(Frame &f)
    {
        Children children;
        for (NodeRef &c : f.children)
            children = children.with(std::move(c));
        if (children.size() != f.note->part.count)
            bad(f.id, "a name stands in it twice");
        if (children.empty() && !f.may_be_childless)
            bad(f.id, "a directory without children");
        NodeRef node = Node::make(f.name, std::move(f.value), std::move(f.own), std::move(children));
        node->note = std::move(f.note);
        if (!f.name.empty()) // a root's annotation depends on the hidden nodes, too
            cache_.dirs.try_emplace(DirKey{f.id, std::move(f.name)}, node);
        return node;
    }

    void read_part(Frame &f, Part &part, const Oid &id, Place &place)
    {
        const std::vector<TreeEntry> entries = read_entries(part, id);
        std::size_t first = 0; // of the children
        while (first < entries.size() && entries[first].name[0] == '%')
            ++first;
        const std::span own(entries.data(), first), children(entries.data() + first, entries.size() - first);
        const bool bucket = !place.digits.empty();
        std::vector<std::pair<unsigned, Oid>> buckets;
        Oid perms_id;
        for (const TreeEntry &e : own) {
            const std::size_t digit = e.name.size() == 2 ? kHexDigits.find(e.name[1]) : kHexDigits.npos;
            if (e.is_tree && digit != kHexDigits.npos)
                buckets.emplace_back(static_cast<unsigned>(digit), e.id);
            else if (!e.is_tree && e.name == kPermsEntry)
                perms_id = e.id;
            else if (!bucket && !e.is_tree && (e.name == kValueEntry || e.name == kHexEntry) && !f.value)
                read_value(f, e, id);
            else if (place.root && e.is_tree && e.name == kSpecialEntry)
                f.special = e.id;
            else
                bad(id, "it has an entry " + e.name);
        }
        const std::shared_ptr<const ParsedPerms> perms = read_perms(perms_id, bucket);
        if (!bucket) {
            if (!perms->own)
                bad(id, "it has no %perms");
            if (place.root && f.special.is_null())
                bad(id, "it has no %special");
            f.own = perms->own;
        }
        PermCounts counts;
        std::vector<const Node *> leaves;
        if (buckets.empty()) {
            read_children(f, part, id, place, children, *perms, counts, leaves);
        } else {
            if (!children.empty())
                bad(id, "it has children beside its buckets");
            read_buckets(f, part, id, place, buckets);
        }
        std::string text = perms_text(*f.own, bucket, counts, leaves);
        if (text.empty() ? !perms_id.is_null() : hash_object(ObjectType::Blob, text) != perms_id)
            bad(id, "its %perms is not what we would have written");
        part.leaf_perms = Ref<const LeafPerms>(new LeafPerms(std::move(counts), std::move(text), perms_id));
    }

    void read_children(Frame &f, Part &part, const Oid &id, const Place &place,
                       std::span<const TreeEntry> children, const ParsedPerms &perms, PermCounts &counts,
                       std::vector<const Node *> &leaves)
    {
        if (children.size() > kFlatChildren)
            bad(id, "it has too many children for one tree");
        if (!place.digits.empty() && children.empty())
            bad(id, "an empty bucket");
        part.count = children.size();
        for (const TreeEntry &e : children) {
            if (!stands_right(e.name, place))
                bad(id, e.name + " is in the wrong bucket");
            if (e.is_tree) {
                f.todo.push_back({e.name, e.id});
                continue;
            }
            const PermsRef &list = perms.of(e.name, f.own);
            NodeRef leaf = Node::make(e.name, read_blob(e.id), list);
            leaf->note = std::make_unique<LeafNote>(e.id, epoch_);
            counts.add(list);
            leaves.push_back(leaf.get());
            f.children.push_back(std::move(leaf));
        }
    }

    void read_buckets(Frame &f, Part &part, const Oid &id, Place &place,
                      const std::vector<std::pair<unsigned, Oid>> &buckets)
    {
        if (place.digits.size() == 40)
            bad(id, "it has too many levels of buckets");
        part.buckets = std::make_unique<Part::Buckets>();
        for (const auto &[digit, bucket_id] : buckets) {
            Ref<Part> bucket(new Part);
            place.digits.push_back(digit);
            read_part(f, *bucket, bucket_id, place);
            place.digits.pop_back();
            part.count += bucket->count;
            (*part.buckets)[digit] = std::move(bucket);
        }
        if (part.count <= kFlatChildren)
            bad(id, "it has buckets without need");
    }

    static bool stands_right(std::string_view name, const Place &place)
    {
        if (place.digits.empty())
            return true;
        Sha1 sha;
        sha.update(name);
        const Oid digest = sha.finish();
        for (unsigned level = 0; level < place.digits.size(); ++level)
            if (bucket_digit(digest, level) != place.digits[level])
                return false;
        return true;
    }

    /// The bytes are made again from the entries: their id proves that nothing was lost on the way.
    std::vector<TreeEntry> read_entries(Part &part, const Oid &id) const
    {
        std::vector<TreeEntry> entries = repo_.tree(id);
        for (const TreeEntry &e : entries)
            tree_text::append(part.content, e.name, e.is_tree, e.id);
        part.content.shrink_to_fit();
        part.oid = id;
        if (hash_object(ObjectType::Tree, part.content) != id)
            bad(id, "its bytes do not give its id");
        for (std::size_t i = 1; i < entries.size(); ++i)
            if (tree_text::compare(entries[i - 1].name, entries[i - 1].is_tree, entries[i].name,
                                   entries[i].is_tree) >= 0)
                bad(id, "its entries are not in git's order");
        return entries;
    }

    void read_value(Frame &f, const TreeEntry &e, const Oid &id)
    {
        f.value = read_blob(e.id);
        if (e.name == kHexEntry) {
            const auto value = from_hex_text(view(f.value));
            if (!value)
                bad(e.id, "not a line of hex digits");
            f.value = Bytes::make(*value);
            f.may_be_childless = true;
        }
        if (!f.value)
            bad(id, "it has an empty " + e.name);
    }

    BytesRef read_blob(const Oid &id)
    {
        const auto [entry, is_new] = cache_.values.try_emplace(id);
        if (is_new) {
            try {
                const std::string value = repo_.blob(id);
                if (hash_object(ObjectType::Blob, value) != id)
                    bad(id, "its bytes do not give its id");
                entry->second = Bytes::make(value);
            } catch (...) {
                cache_.values.erase(entry);
                throw;
            }
        }
        return entry->second;
    }

    std::shared_ptr<const ParsedPerms> read_perms(const Oid &id, bool bucket)
    {
        static const auto nothing = std::make_shared<const ParsedPerms>();
        if (id.is_null())
            return nothing;
        auto &known = (bucket ? cache_.bucket_perms : cache_.perms)[id];
        if (!known) {
            auto parsed = std::make_shared<ParsedPerms>();
            if (!parse_perms_text(view(read_blob(id)), bucket, *parsed))
                bad(id, "not the text of a %perms");
            share(parsed->own);
            share(parsed->most);
            for (auto &[name, list] : parsed->leaves)
                share(list);
            known = std::move(parsed);
        }
        return known;
    }

    /// Equal lists become one object.
    void share(PermsRef &list)
    {
        if (list)
            list = cache_.lists.try_emplace(list->text(), list).first->second;
    }

    static constexpr std::string_view kHexDigits = "0123456789abcdef";

    const Repository &repo_;
    std::uint32_t epoch_;
    LoadCache &cache_;
};

} // namespace

Tree load_tree(const Repository &repo, const Oid &tree, std::uint32_t epoch,
               const std::shared_ptr<LoadCache> &cache)
{
    if (cache) {
        cache->trim();
        return Loader(repo, epoch, *cache).load(tree);
    }
    LoadCache own;
    return Loader(repo, epoch, own).load(tree);
}

} // namespace xsgit
