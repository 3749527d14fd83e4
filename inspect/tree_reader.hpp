// SPDX-License-Identifier: MIT
// Nodes of the store, read from git trees one by one and by object id, so that what is equal is
// never looked into. Grammar of the trees: xsgit/git/tree_encoder.hpp.
#pragma once

#include "xsgit/base/path.hpp"
#include "xsgit/git/leaf_perms.hpp"
#include "xsgit/git/repository.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace xsgit::inspect {

/// What a person sees of a node.
struct NodeState {
    std::string value;
    std::string perms; // "n0,r5,w7!"
    friend bool operator==(const NodeState &, const NodeState &) = default;
};

/// A node as it stands in git.
struct GitNode {
    Oid id;
    bool is_tree = false;
    std::string perms; // of a blob: git has them beside it; of a tree: empty, they are in it
    /// Equal: the node and everything below it are.
    friend bool operator==(const GitNode &, const GitNode &) = default;
};

struct NamedNode {
    std::string name;
    GitNode node;
};

struct NodePair {
    std::string name;
    std::optional<GitNode> before, after; // one may be absent
};

/// All functions throw GitError for what is missing, damaged, or not a state of the store. `root` is the id of a
/// commit's tree; a null id is the store before its first commit, which has no nodes.
class TreeReader {
public:
    /// `repo` must outlive this.
    explicit TreeReader(const Repository &repo);
    ~TreeReader();

    static std::optional<GitNode> root_node(const Oid &root);
    /// The directory of the hidden nodes ("@releaseDomain", …), which is no node itself.
    std::optional<GitNode> special(const Oid &root);

    /// Nullopt if absent. Reads one object per component.
    std::optional<GitNode> find(const Oid &root, const Path &path);
    std::optional<GitNode> child(const GitNode &dir, std::string_view name);
    NodeState state(const GitNode &node);
    /// In order of name bytes.
    std::vector<NamedNode> children(const GitNode &node);
    /// The children that differ between two trees, in order of name bytes; skips equal buckets.
    std::vector<NodePair> differing(const GitNode &before, const GitNode &after);
    /// Whether the node at `path` or anything below it differs. Looks no deeper than needed.
    bool differs(const Oid &before, const Oid &after, const Path &path);
    /// Whether value or permissions of the node itself differ. Reads no values.
    bool state_differs(const GitNode &before, const GitNode &after);

private:
    struct Part;
    using PartRef = std::shared_ptr<const Part>;
    using PermsText = std::shared_ptr<const ParsedPerms>;
    struct Hash {
        std::size_t operator()(const Oid &id) const noexcept;
    };

    PartRef part(const Oid &id);
    PermsText perms(const Oid &id, bool bucket);
    PermsRef own_perms(const Part &p);
    Oid value_id(const Part &p, bool &hex) const;
    void gather(const Part &p, bool bucket, const PermsRef &own, std::vector<NamedNode> &out);
    void gather_unlike(const Part &a, const Part &b, bool bucket, const PermsRef &own,
                       std::vector<NamedNode> &out_a, std::vector<NamedNode> &out_b);
    void gather_differing(const Part &a, const Part &b, bool bucket, const PermsRef &own_a,
                          const PermsRef &own_b, std::vector<NamedNode> &out_a,
                          std::vector<NamedNode> &out_b);

    const Repository &repo_;
    std::unordered_map<Oid, PartRef, Hash> parts_;
    std::unordered_map<Oid, PermsText, Hash> perms_, bucket_perms_;
};

} // namespace xsgit::inspect
