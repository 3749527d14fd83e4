// SPDX-License-Identifier: MIT
// Nodes in one allocation with their name, so that comparing names touches no
// second place in memory.
#include "xsgit/tree/node.hpp"

#include <cassert>
#include <cstring>
#include <new>
#include <utility>

namespace xsgit {

Node::Node(std::uint32_t name_size, BytesRef value, PermsRef perms, Children children) noexcept
    : name_size_(name_size), value_(std::move(value)), perms_(std::move(perms)),
      children_(std::move(children))
{
}

NodeRef Node::make(std::string_view name, BytesRef value, PermsRef perms, Children children)
{
    assert(perms);
    void *raw = ::operator new(sizeof(Node) + name.size());
    auto *n = new (raw) Node(static_cast<std::uint32_t>(name.size()), std::move(value), std::move(perms),
                             std::move(children));
    std::memcpy(static_cast<char *>(raw) + sizeof(Node), name.data(), name.size());
    return NodeRef(n);
}

void Node::destroy(const Node *n) noexcept
{
    // The children's pages are queued if this happens on behalf of one: see ChildPage::destroy().
    n->~Node();
    ::operator delete(const_cast<Node *>(n));
}

NodeRef Node::with_value(BytesRef v) const { return make(name(), std::move(v), perms_, children_); }
NodeRef Node::with_perms(PermsRef p) const { return make(name(), value_, std::move(p), children_); }
NodeRef Node::with_children(Children c) const { return make(name(), value_, perms_, std::move(c)); }

} // namespace xsgit
