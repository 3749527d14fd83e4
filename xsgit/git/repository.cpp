// SPDX-License-Identifier: MIT
#include "xsgit/git/repository.hpp"

#include "xsgit/git/git_handle.hpp"
#include "xsgit/git/tree_text.hpp"

#include <algorithm>
#include <cstdio>
#include <git2/sys/odb_backend.h>
#include <sys/stat.h>

namespace xsgit {

namespace {

using git::from_git;
using git::out;
using git::to_git;

/// Higher than libgit2's own backends: what is in memory is found without a look at the disk.
constexpr int kMemoryPriority = 100;

std::string without_slash(std::string path)
{
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    return path;
}

/// The file `shallow`, read again when it was replaced.
class Shallow {
public:
    explicit Shallow(std::string path) : path_(std::move(path)) {}

    bool contains(const Oid &commit)
    {
        const std::vector<Oid> &now = commits();
        return std::binary_search(now.begin(), now.end(), commit);
    }

    /// In order.
    const std::vector<Oid> &commits()
    {
        struct stat now {};
        const bool there = stat(path_.c_str(), &now) == 0;
        if (!there) {
            commits_.clear();
            seen_ = {};
        } else if (now.st_ino != seen_.st_ino || now.st_size != seen_.st_size ||
                   now.st_mtim.tv_sec != seen_.st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != seen_.st_mtim.tv_nsec) {
            read();
            seen_ = now;
        }
        return commits_;
    }

private:
    void read()
    {
        commits_.clear();
        std::unique_ptr<std::FILE, git::Freer<std::fclose>> file(std::fopen(path_.c_str(), "re"));
        char line[64];
        while (file && std::fgets(line, sizeof line, file.get()))
            if (const auto id = Oid::from_hex(std::string_view(line).substr(0, 40)))
                commits_.push_back(*id);
        std::sort(commits_.begin(), commits_.end());
    }

    std::string path_;
    struct stat seen_ {};
    std::vector<Oid> commits_;
};

class Libgit2Repository final : public Repository {
public:
    explicit Libgit2Repository(const std::string &path)
    {
        const int error = git_repository_open(out(repo_), path.c_str());
        if (error == GIT_EOWNER)
            throw GitError(
                "repository " + path +
                " belongs to another user. Run this as that user, or allow it with: git config --global "
                "--add safe.directory " +
                path);
        if (error < 0)
            git::fail("cannot open repository " + path);
        git_dir_ = without_slash(git_repository_path(repo_.get()));
        shallow_ =
            std::make_unique<Shallow>(without_slash(git_repository_commondir(repo_.get())) + "/shallow");
        if (git_repository_odb(out(odb_), repo_.get()) < 0)
            git::fail("cannot open the objects of repository " + git_dir_);
    }

    const std::string &git_dir() const override { return git_dir_; }

    std::optional<Oid> read_ref(const std::string &name) const override
    {
        git_oid id;
        const int error = git_reference_name_to_id(&id, repo_.get(), name.c_str());
        if (error == GIT_ENOTFOUND)
            return std::nullopt;
        if (error < 0)
            git::fail("reading " + name + in_here());
        return from_git(id);
    }

    void write_ref(const std::string &name, const Oid &id) override
    {
        const git_oid target = to_git(id);
        git::ReferenceHandle ref;
        if (git_reference_create(out(ref), repo_.get(), name.c_str(), &target, 1, nullptr) < 0)
            git::fail("setting " + name + " to " + id.hex() + in_here());
    }

    void delete_ref(const std::string &name) override
    {
        if (git_reference_remove(repo_.get(), name.c_str()) < 0)
            git::fail("deleting " + name + in_here());
    }

    std::vector<std::string> ref_names() const override
    {
        git::RefIteratorHandle it;
        if (git_reference_iterator_new(out(it), repo_.get()) < 0)
            git::fail("listing refs" + in_here());
        std::vector<std::string> found;
        for (const char *name = nullptr; git_reference_next_name(&name, it.get()) == 0;)
            found.emplace_back(name);
        return found;
    }

    RefTarget target_of(const std::string &name) const override
    {
        git_oid id;
        git::ObjectHandle o, peeled;
        if (git_reference_name_to_id(&id, repo_.get(), name.c_str()) < 0 ||
            git_object_lookup(out(o), repo_.get(), &id, GIT_OBJECT_ANY) < 0)
            return {};
        if (git_object_type(o.get()) == GIT_OBJECT_TAG) {
            // git_reference_peel(GIT_OBJECT_ANY) would go through a commit, to its tree.
            if (git_tag_peel(out(peeled), reinterpret_cast<git_tag *>(o.get())) < 0)
                return {};
            o = std::move(peeled);
        }
        return {git_object_type(o.get()) == GIT_OBJECT_COMMIT ? RefTarget::Commit : RefTarget::Other,
                from_git(*git_object_id(o.get()))};
    }

    std::optional<CommitInfo> commit(const Oid &id) const override
    {
        const git_oid wanted = to_git(id);
        git::CommitHandle c;
        const int error = git_commit_lookup(out(c), repo_.get(), &wanted);
        if (error == GIT_ENOTFOUND && !exists(id))
            return std::nullopt;
        if (error < 0)
            git::fail("reading commit " + id.hex() + in_here());
        CommitInfo info;
        info.id = id;
        info.tree = from_git(*git_commit_tree_id(c.get()));
        for (unsigned i = 0; i < git_commit_parentcount(c.get()); ++i)
            info.parents.push_back(from_git(*git_commit_parent_id(c.get(), i)));
        const git_signature *const author = git_commit_author(c.get());
        info.author = std::string(author->name) + " <" + author->email + ">";
        info.seconds = git_commit_time(c.get());
        info.message = git_commit_message_raw(c.get());
        return info;
    }

    std::optional<GitObject> object(const Oid &id) const override
    {
        git::OdbObjectHandle o;
        if (!read(o, id))
            return std::nullopt;
        GitObject result;
        switch (git_odb_object_type(o.get())) {
        case GIT_OBJECT_COMMIT:
            result.type = ObjectType::Commit;
            break;
        case GIT_OBJECT_TREE:
            result.type = ObjectType::Tree;
            break;
        case GIT_OBJECT_BLOB:
            result.type = ObjectType::Blob;
            break;
        default:
            throw GitError("object " + id.hex() + in_here() + " is neither a commit, a tree nor a blob");
        }
        result.content = bytes(o);
        return result;
    }

    std::vector<TreeEntry> tree(const Oid &id) const override
    {
        git::OdbObjectHandle o;
        if (!read(o, id))
            throw GitError("tree " + id.hex() + in_here() + " is missing");
        if (git_odb_object_type(o.get()) != GIT_OBJECT_TREE)
            throw GitError("object " + id.hex() + in_here() + " is not a tree");
        std::vector<TreeEntry> entries;
        tree_text::Reader reader(bytes(o));
        for (tree_text::Entry e; reader.next(e);)
            entries.push_back({std::string(e.name), e.id, e.tree});
        if (reader.malformed())
            throw GitError("tree " + id.hex() + in_here() +
                           " has an entry that is neither a file nor a tree");
        return entries;
    }

    std::string blob(const Oid &id) const override
    {
        git::OdbObjectHandle o;
        if (!read(o, id))
            throw GitError("blob " + id.hex() + in_here() + " is missing");
        if (git_odb_object_type(o.get()) != GIT_OBJECT_BLOB)
            throw GitError("object " + id.hex() + in_here() + " is not a blob");
        return std::string(bytes(o));
    }

    bool exists(const Oid &id) const override
    {
        const git_oid wanted = to_git(id);
        return git_odb_exists(odb_.get(), &wanted) == 1;
    }

    std::optional<Oid> rev_parse(const std::string &spec) const override
    {
        git::ObjectHandle found, commit;
        int error = git_revparse_single(out(found), repo_.get(), spec.c_str());
        if (error == 0)
            error = git_object_peel(out(commit), found.get(), GIT_OBJECT_COMMIT);
        switch (error) {
        case 0:
            return from_git(*git_object_id(commit.get()));
        case GIT_ENOTFOUND:
        case GIT_EAMBIGUOUS:
        case GIT_EINVALIDSPEC:
        case GIT_EPEEL:
            return std::nullopt;
        default:
            git::fail("resolving " + spec + in_here());
        }
    }

    bool is_shallow(const Oid &commit) const override { return shallow_->contains(commit); }
    std::vector<Oid> shallow_commits() const override { return shallow_->commits(); }

    void add_memory(const PackBuffer &pack) override
    {
        git_odb_backend *const backend = git::make_memory_backend(pack);
        if (git_odb_add_backend(odb_.get(), backend, kMemoryPriority) < 0) {
            backend->free(backend);
            git::fail("adding objects in memory" + in_here());
        }
    }

    void refresh() override
    {
        if (git_odb_refresh(odb_.get()) < 0)
            git::fail("looking for new packs" + in_here());
    }

private:
    std::string in_here() const { return " in " + git_dir_; }

    /// False if there is no such object.
    bool read(git::OdbObjectHandle &o, const Oid &id) const
    {
        const git_oid wanted = to_git(id);
        const int error = git_odb_read(out(o), odb_.get(), &wanted);
        if (error < 0 && error != GIT_ENOTFOUND)
            git::fail("reading object " + id.hex() + in_here());
        return error == 0;
    }

    static std::string_view bytes(const git::OdbObjectHandle &o)
    {
        return {static_cast<const char *>(git_odb_object_data(o.get())), git_odb_object_size(o.get())};
    }

    git::Library library_; // first: goes last
    git::RepositoryHandle repo_;
    git::OdbHandle odb_;
    std::string git_dir_;
    std::unique_ptr<Shallow> shallow_;
};

} // namespace

std::unique_ptr<Repository> Repository::open(const std::string &path)
{
    return std::make_unique<Libgit2Repository>(path);
}

} // namespace xsgit
