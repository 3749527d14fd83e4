// SPDX-License-Identifier: MIT
// A pack that is still in memory, as a libgit2 object database backend.
#include "xsgit/git/git_handle.hpp"

#include <git2/sys/odb_backend.h>

namespace xsgit::git {

namespace {

struct MemoryBackend : git_odb_backend {
    PackBuffer pack;
};

const PackBuffer &pack_of(git_odb_backend *b) noexcept { return static_cast<MemoryBackend *>(b)->pack; }

git_object_t to_git(ObjectType t) noexcept
{
    switch (t) {
    case ObjectType::Commit:
        return GIT_OBJECT_COMMIT;
    case ObjectType::Tree:
        return GIT_OBJECT_TREE;
    case ObjectType::Blob:
        break;
    }
    return GIT_OBJECT_BLOB;
}

int read(void **data, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    std::string content;
    ObjectType t{};
    if (!pack_of(b).read(from_git(*id), t, content))
        return GIT_ENOTFOUND;
    *data = git_odb_backend_data_alloc(b, content.size() + 1);
    if (!*data)
        return GIT_ERROR;
    std::memcpy(*data, content.c_str(), content.size() + 1);
    *size = content.size();
    *type = to_git(t);
    return 0;
}

int read_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    std::string content;
    ObjectType t{};
    if (!pack_of(b).read(from_git(*id), t, content))
        return GIT_ENOTFOUND;
    *size = content.size();
    *type = to_git(t);
    return 0;
}

int exists(git_odb_backend *b, const git_oid *id) { return pack_of(b).contains(from_git(*id)) ? 1 : 0; }

void release(git_odb_backend *b) { delete static_cast<MemoryBackend *>(b); }

} // namespace

git_odb_backend *make_memory_backend(const PackBuffer &pack)
{
    auto backend = std::make_unique<MemoryBackend>(MemoryBackend{{}, pack});
    git_odb_init_backend(backend.get(), GIT_ODB_BACKEND_VERSION);
    backend->read = read;
    backend->read_header = read_header;
    backend->exists = exists;
    backend->free = release;
    return backend.release();
}

} // namespace xsgit::git
