// SPDX-License-Identifier: MIT
// The git repository as the daemon and the tools see it. libgit2 is behind this and
// nowhere else in xsgit/ (git2.h is included only by repository.cpp and oid.cpp).
#pragma once

#include "xsgit/git/oid.hpp"
#include "xsgit/git/pack_buffer.hpp"
#include "xsgit/tree/tree.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit {

/// A git failure, with what we were doing.
struct GitError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct CommitInfo {
    Oid id, tree;
    std::vector<Oid> parents; // as in the object; the walker must stop at is_shallow()
    std::string author;       // "dom5 <5@xen>"
    std::int64_t seconds = 0;
    std::string message;
};

struct TreeEntry {
    std::string name;
    Oid id;
    bool is_tree = false;
};

class Repository {
public:
    /// Makes a bare repository at `path` (0700), with our configuration: gc.auto 0,
    /// receive.denyAll through a hook-less setting, no fsync, HEAD -> refs/heads/main. Atomic: made
    /// beside and renamed. Throws GitError.
    static void create(const std::string &path);
    /// Opens; throws GitError if there is none or it is not a git repository.
    static std::unique_ptr<Repository> open(const std::string &path);
    virtual ~Repository() = default;

    /// The directory itself (bare) or its .git.
    virtual const std::string &git_dir() const = 0;

    /// Null id -> nullopt. `name` is full ("refs/heads/main").
    virtual std::optional<Oid> read_ref(const std::string &name) const = 0;
    /// Sets or makes a ref (lock file and rename). No reflog. Throws GitError.
    virtual void write_ref(const std::string &name, const Oid &id) = 0;
    virtual void delete_ref(const std::string &name) = 0;

    virtual std::optional<CommitInfo> commit(const Oid &id) const = 0;
    /// Entries in git's order; throws GitError if missing or not a tree.
    virtual std::vector<TreeEntry> tree(const Oid &id) const = 0;
    virtual std::string blob(const Oid &id) const = 0;
    virtual bool exists(const Oid &id) const = 0;
    /// Resolves what git rev-parse would (branch, short id, HEAD~3); nullopt if it does not exist.
    virtual std::optional<Oid> rev_parse(const std::string &spec) const = 0;
    /// Commits in `shallow`: history ends there though the object names parents.
    virtual bool is_shallow(const Oid &commit) const = 0;

    /// Makes the objects of `pack` (a tail that nobody published) readable through this object only.
    virtual void add_memory(const PackBuffer &pack) = 0;
    /// Looks for packs again after others wrote some.
    virtual void refresh() = 0;
};

/// The state tree of a commit's tree, every node annotated with its object id so that the
/// encoder continues from there. About 1.5 us a node. Throws GitError (missing or damaged
/// object, text that is not ours). Trees loaded through the same `cache` share unchanged subtrees.
struct LoadCache;
Tree load_tree(const Repository &repo, const Oid &tree, std::uint32_t epoch,
               const std::shared_ptr<LoadCache> &cache = nullptr);
std::shared_ptr<LoadCache> make_load_cache();

} // namespace xsgit
