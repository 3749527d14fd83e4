// SPDX-License-Identifier: MIT
// libgit2's types as owning handles, its failures as GitError. Private to what implements Repository.
#pragma once

#include "xsgit/git/repository.hpp"

#include <cstring>
#include <git2.h>
#include <memory>
#include <string>
#include <utility>

namespace xsgit::git {

/// libgit2 counts its users; it must be up as long as a handle lives.
class Library {
public:
    Library();
    ~Library() { git_libgit2_shutdown(); }
    Library(const Library &) = delete;
    Library &operator=(const Library &) = delete;
};

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T *p) const noexcept
    {
        Free(p);
    }
};

template <class T, auto Free>
using Handle = std::unique_ptr<T, Freer<Free>>;

using RepositoryHandle = Handle<git_repository, git_repository_free>;
using OdbHandle = Handle<git_odb, git_odb_free>;
using OdbObjectHandle = Handle<git_odb_object, git_odb_object_free>;
using ObjectHandle = Handle<git_object, git_object_free>;
using CommitHandle = Handle<git_commit, git_commit_free>;
using RefIteratorHandle = Handle<git_reference_iterator, git_reference_iterator_free>;
using ReferenceHandle = Handle<git_reference, git_reference_free>;
using ConfigHandle = Handle<git_config, git_config_free>;

/// Receives what a libgit2 function gives back: f(out(handle), …).
template <class H>
class Out {
public:
    explicit Out(H &handle) noexcept : handle_(handle) {}
    Out(const Out &) = delete;
    Out &operator=(const Out &) = delete;
    ~Out() { handle_.reset(p_); }
    operator typename H::element_type **() noexcept { return &p_; }

private:
    H &handle_;
    typename H::element_type *p_ = nullptr;
};

template <class H>
Out<H> out(H &handle) noexcept
{
    return Out<H>(handle);
}

/// "<what>: <what libgit2 says>".
[[noreturn]] void fail(const std::string &what);

inline git_oid to_git(const Oid &id) noexcept
{
    git_oid g;
    std::memcpy(g.id, id.bytes.data(), id.bytes.size());
    return g;
}

inline Oid from_git(const git_oid &g) noexcept
{
    Oid id;
    std::memcpy(id.bytes.data(), g.id, id.bytes.size());
    return id;
}

/// A backend that serves the objects of a copy of `pack`; owned by the object database it is added to.
git_odb_backend *make_memory_backend(const PackBuffer &pack);

} // namespace xsgit::git
