// SPDX-License-Identifier: MIT
#include "server/store/tree_record.hpp"

#include "server/engine/state_stream.hpp"
#include "xsgit/tree/each_edit.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace xsgit::server {
namespace {

enum Edit : std::uint8_t { kEnd = 0, kNode = 1, kGone = 2 };

} // namespace

void write_tree_record(StreamWriter &w, std::uint64_t seq, const Tree &from, const Tree &to)
{
    w.record(kTreeRecord);
    w.u64(seq);
    std::string last;
    each_edit(from, to, [&](const std::string &path, const Node *node) {
        const auto differ = std::mismatch(last.begin(), last.end(), path.begin(), path.end()).first;
        const std::size_t shared = static_cast<std::size_t>(differ - last.begin());
        w.u8(node ? kNode : kGone);
        w.u16(static_cast<std::uint16_t>(shared));
        w.u16(static_cast<std::uint16_t>(path.size() - shared));
        w.bytes(std::string_view(path).substr(shared));
        if (node) {
            w.text(node->perms()->text());
            w.text(node->value());
        }
        last = path;
    });
    w.u8(kEnd);
}

std::pair<std::uint64_t, Tree> read_tree_record(RecordReader r, Tree tree)
{
    const std::uint64_t seq = r.u64();
    std::unordered_map<std::string_view, PermsRef> lists; // few, for many nodes
    const auto perms_of = [&lists](std::string_view text) {
        PermsRef &p = lists[text];
        if (!p)
            p = PermList::from_text(text);
        if (!p)
            throw StreamDamaged("checkpoint: permissions that are none");
        return p;
    };
    std::string path;
    for (;;) {
        const std::uint8_t kind = r.u8();
        if (kind == kEnd)
            break;
        const std::size_t shared = r.u16();
        const std::size_t more = r.u16();
        if (kind > kGone || shared > path.size())
            throw StreamDamaged("checkpoint: an edit of a tree that is none");
        path.resize(shared);
        path += r.bytes(more);
        PermsRef perms;
        BytesRef value;
        if (kind == kNode) {
            perms = perms_of(r.text());
            value = Bytes::make(r.text());
        }
        if (path.empty() || (path[0] != '/' && path[0] != '@') ||
            !apply_edit(tree, path, std::move(value), std::move(perms)))
            throw StreamDamaged("checkpoint: an edit of a tree that does not fit it");
    }
    if (tree.empty() || !tree.special())
        throw StreamDamaged("checkpoint: a tree without root");
    return {seq, std::move(tree)};
}

} // namespace xsgit::server
