// SPDX-License-Identifier: MIT
// The git repository as the daemon and the tools see it. libgit2 is behind this and
// nowhere else in xsgit/ (git2.h is included only by oid.cpp, git_handle.hpp and what includes that).
//
// Ids and names come back as values; everything that fails does so as a GitError that names the
// object and the repository. One thread at a time per Repository.
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

/// An object as git stores it.
struct GitObject {
    ObjectType type = ObjectType::Blob;
    std::string content;
};

struct TreeEntry {
    std::string name;
    Oid id;
    bool is_tree = false;
};

struct RefTarget {
    enum Kind : std::uint8_t { Commit, Other /* tree or blob */, Missing } kind = Missing;
    Oid id; // null if missing
};

class Repository {
public:
    /// Makes a bare repository at `path` (0700), with our configuration: no gc or maintenance by itself, no
    /// fsync, no reflogs, HEAD -> refs/heads/main; a hook refuses every push. Atomic: made beside and renamed;
    /// an empty directory may be at `path`. Throws GitError.
    static void create(const std::string &path);
    /// Opens a bare repository or a clone (the directory that holds .git). Throws GitError if there is none, it is
    /// not a git repository, or belongs to somebody else (git's safe.directory applies).
    static std::unique_ptr<Repository> open(const std::string &path);
    virtual ~Repository() = default;

    /// The directory itself (bare) or its .git.
    virtual const std::string &git_dir() const = 0;

    /// Null id -> nullopt. `name` is full ("refs/heads/main").
    virtual std::optional<Oid> read_ref(const std::string &name) const = 0;
    /// Sets or makes a ref (lock file and rename). No reflog. Throws GitError.
    virtual void write_ref(const std::string &name, const Oid &id) = 0;
    virtual void delete_ref(const std::string &name) = 0;
    /// The names of all refs. Looks at no object.
    virtual std::vector<std::string> ref_names() const = 0;
    /// What a ref leads to, through tags if need be.
    virtual RefTarget target_of(const std::string &ref) const = 0;

    /// Nullopt if there is no such object; throws GitError if it is something else.
    virtual std::optional<CommitInfo> commit(const Oid &id) const = 0;
    /// Nullopt if there is no such object. Tags are not ours: GitError.
    virtual std::optional<GitObject> object(const Oid &id) const = 0;
    /// Entries in git's order; throws GitError if missing or not a tree.
    virtual std::vector<TreeEntry> tree(const Oid &id) const = 0;
    virtual std::string blob(const Oid &id) const = 0;
    virtual bool exists(const Oid &id) const = 0;
    /// The commit that git rev-parse SPEC^{commit} would give (branch, tag, short id, HEAD~3); nullopt if
    /// there is none, or more than one.
    virtual std::optional<Oid> rev_parse(const std::string &spec) const = 0;
    /// Commits in `shallow`: history ends there though the object names parents.
    virtual bool is_shallow(const Oid &commit) const = 0;
    /// All of them as they are now, in order: for those who ask about very many commits.
    virtual std::vector<Oid> shallow_commits() const = 0;

    /// Makes the objects of `pack` (a tail that nobody published) readable through this object only. Copies it.
    virtual void add_memory(const PackBuffer &pack) = 0;
    /// Looks for packs again after others wrote some.
    virtual void refresh() = 0;
};

/// What load_tree() has read before. Trees loaded through the same cache (one thread) share unchanged subtrees, so that the
/// next commit's tree costs what differs. Holds some 100,000 directories at most, then starts anew.
class LoadCache;
std::shared_ptr<LoadCache> make_load_cache();

/// The state tree of a commit's tree, every node annotated with its object id so that the
/// encoder continues from there. About 1.5 us a node. Throws GitError (missing or damaged
/// object; anything that encode_tree() would not have written for this state). `cache` must always be given the same
/// epoch.
Tree load_tree(const Repository &repo, const Oid &tree, std::uint32_t epoch,
               const std::shared_ptr<LoadCache> &cache = nullptr);

} // namespace xsgit
