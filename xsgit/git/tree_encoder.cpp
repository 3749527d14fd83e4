// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_encoder.hpp"

#include "xsgit/git/dir_encoder.hpp"
#include "xsgit/git/tree_text.hpp"
#include "xsgit/git/value_text.hpp"

#include <vector>

namespace xsgit {

namespace {

/// Two passes over a list of directories instead of recursion: the first, top down, finds those that have to be
/// written and annotates the leaves; the second, backwards, has all children before their parents.
class Encoder {
public:
    Encoder(std::uint32_t epoch, PackBuffer &out) : epoch_(epoch), out_(out) {}

    /// Annotates `dir` and all below. `base`, if any, is an encoded version of it.
    void encode_dir(const Node &dir, const Node *base, const Oid *special)
    {
        work_.reserve(kUsualDepth);
        changes_.reserve(kUsualDepth);
        work_.push_back({base, &dir, special, 0, 0});
        for (std::size_t i = 0; i < work_.size(); ++i)
            expand(i);
        while (!work_.empty()) {
            write(work_.back());
            work_.pop_back();
        }
        changes_.clear();
    }

private:
    static constexpr std::size_t kUsualDepth = 16;

    struct Work {
        const Node *base; // null: write from nothing
        const Node *dir;
        const Oid *special;
        std::size_t first, count; // in changes_
    };

    void expand(std::size_t i)
    {
        const Work w = work_[i]; // a copy: visit() lets the list grow
        const std::size_t first = changes_.size();
        if (!w.base) {
            for (auto c = w.dir->children().begin(); c.get(); c.next())
                visit(*c.get(), nullptr);
        } else if (!w.base->children().same(w.dir->children())) {
            for (ChildDiff d(w.base->children(), w.dir->children()); d.next();) {
                changes_.push_back({d.before(), d.after()});
                if (d.after())
                    visit(*d.after(), d.before());
            }
        }
        work_[i].first = first;
        work_[i].count = changes_.size() - first;
    }

    void visit(const Node &node, const Node *before)
    {
        if (is_current(node, epoch_))
            return;
        if (before && !is_current(*before, epoch_))
            before = nullptr;
        if (!node.children().empty())
            work_.push_back({before && is_git_tree(*before) ? before : nullptr, &node, nullptr, 0, 0});
        else
            write_leaf(node, before);
    }

    void write_leaf(const Node &node, const Node *before)
    {
        if (before && !is_git_tree(*before) && before->value() == node.value()) {
            node.note = std::make_unique<LeafNote>(oid_of(*before), epoch_);
            return;
        }
        const ValueBlob blob = put_value_blob(node.value(), out_);
        if (!blob.hex) {
            node.note = std::make_unique<LeafNote>(blob.oid, epoch_);
            return;
        }
        auto note = std::make_unique<DirNote>(epoch_);
        DirEncoder(node, nullptr, out_).build(note->part);
        node.note = std::move(note);
    }

    void write(const Work &w)
    {
        DirEncoder encoder(*w.dir, w.special, out_);
        std::unique_ptr<DirNote> note;
        if (w.base) {
            const Part &old = dir_note(*w.base).part;
            note = std::make_unique<DirNote>(epoch_, old);
            encoder.update(note->part, old, *w.base, std::span(changes_).subspan(w.first, w.count));
        } else {
            note = std::make_unique<DirNote>(epoch_);
            encoder.build(note->part);
        }
        w.dir->note = std::move(note); // last: base and dir may be the same root
    }

    std::uint32_t epoch_;
    PackBuffer &out_;
    std::vector<Work> work_;
    std::vector<ChildChange> changes_;
};

/// Writes the tree objects of a directory again, with what they hold besides the children.
class KeyframeWriter {
public:
    KeyframeWriter(std::uint32_t epoch, PackBuffer &out) : epoch_(epoch), out_(out) {}

    void write_below(const Node &top)
    {
        std::vector<const Node *> todo{&top};
        while (!todo.empty()) {
            const Node &node = *todo.back();
            todo.pop_back();
            GitNote &note = *note_of(node);
            note.epoch = epoch_;
            if (!note.tree) {
                out_.put(ObjectType::Blob, oid_of(node), node.value());
                continue;
            }
            Part &part = dir_note(node).part;
            write_value(node, part);
            write_part(part);
            for (auto c = node.children().begin(); c.get(); c.next())
                todo.push_back(c.get());
        }
    }

private:
    void write_value(const Node &node, const Part &part)
    {
        if (node.value().empty())
            return;
        if (const Oid id = tree_text::id_of(part.content, kValueEntry, false); !id.is_null())
            out_.put(ObjectType::Blob, id, node.value());
        else
            out_.put(ObjectType::Blob, tree_text::id_of(part.content, kHexEntry, false),
                     hex_text(node.value()));
    }

    void write_part(Part &part) // recursion over hash digits: at most 40 deep
    {
        if (part.leaf_perms && !part.leaf_perms->text.empty())
            out_.put(ObjectType::Blob, part.leaf_perms->oid, part.leaf_perms->text);
        if (part.buckets)
            for (const Ref<Part> &b : *part.buckets)
                if (b)
                    write_part(*b);
        part.placement = out_.put(ObjectType::Tree, part.oid, part.content);
    }

    std::uint32_t epoch_;
    PackBuffer &out_;
};

} // namespace

Oid encode_tree(const Tree &before, const Tree &after, std::uint32_t epoch, ObjectSink &out)
{
    assert(!after.empty() && after.special());
    Encoder encoder(epoch, out);
    const auto base_of = [&](const NodeRef &old) {
        return !before.empty() && is_current(*old, epoch) ? old.get() : nullptr;
    };
    if (!is_current(*after.special(), epoch))
        encoder.encode_dir(*after.special(), base_of(before.special()), nullptr);
    const Oid special = oid_of(*after.special());
    const Node &root = *after.root();
    // One root node can stand in trees that differ only in their hidden nodes: its note then is that of the
    // one encoded last, which is as good a base as any.
    if (!is_current(root, epoch))
        encoder.encode_dir(root, base_of(before.root()), &special);
    else if (tree_text::id_of(dir_note(root).part.content, kSpecialEntry, true) != special)
        encoder.encode_dir(root, &root, &special);
    return oid_of(root);
}

void encode_keyframe(const Tree &head, std::uint32_t epoch, ObjectSink &out)
{
    if (!note_of(*head.root()) || !note_of(*head.special())) {
        encode_tree({}, head, epoch, out);
        return;
    }
    // The root's note may be that of a version with other hidden nodes.
    encode_tree(head, head, note_of(*head.root())->epoch, out);
    KeyframeWriter writer(epoch, out);
    writer.write_below(*head.special());
    writer.write_below(*head.root());
}

} // namespace xsgit
