// SPDX-License-Identifier: MIT
// One immutable node of the store: name, value, permissions, children.
//
// Nodes are shared between versions of the tree; a change makes new nodes from
// the changed one up to the root. A node with children and one without are the same
// thing in xenstore; git writes the one as a tree, the other as a blob.
#pragma once

#include "xsgit/base/bytes.hpp"
#include "xsgit/base/perms.hpp"
#include "xsgit/base/ref.hpp"
#include "xsgit/tree/children.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace xsgit {

/// What another layer hangs on a node (git object ids). Never part of its value.
class Annotation {
public:
    virtual ~Annotation() = default;
};

class Node final : public RefCounted<Node> {
public:
    /// `perms` must not be null; `value` may be (empty).
    static NodeRef make(std::string_view name, BytesRef value, PermsRef perms, Children children = {});
    /// Queues; never recurses over the depth of the tree.
    static void destroy(const Node *n) noexcept;

    std::string_view name() const noexcept { return {reinterpret_cast<const char *>(this + 1), name_size_}; }
    std::string_view value() const noexcept { return view(value_); }
    const BytesRef &value_ref() const noexcept { return value_; }
    const PermsRef &perms() const noexcept { return perms_; }
    const Children &children() const noexcept { return children_; }

    NodeRef with_value(BytesRef v) const;
    NodeRef with_perms(PermsRef p) const;
    NodeRef with_children(Children c) const;

    /// For the one layer that annotates; not copied by with_*().
    mutable std::unique_ptr<Annotation> note;

private:
    friend class Ancestors; // changes nodes that only one version holds
    Node(std::uint32_t name_size, BytesRef value, PermsRef perms, Children children) noexcept;
    ~Node() = default;
    std::uint32_t name_size_; // the bytes of the name follow the object
    BytesRef value_;
    PermsRef perms_;
    Children children_;
};

} // namespace xsgit
