// SPDX-License-Identifier: MIT
#include "xsgit/git/git_handle.hpp"

namespace xsgit::git {

Library::Library()
{
    if (git_libgit2_init() < 0)
        fail("libgit2 does not start");
    // Nobody's git configuration may change what we write, or keep us from starting when it cannot be read.
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL})
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    // Our own packs are checked where they are read back (tree_loader), and by fsck.
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
    // Packs are mapped, and we keep what we have loaded: keeping parsed objects, too, costs more than it saves.
    git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    // Refs are set to commits that we have just written. Looking each one up would map every pack, and libgit2 never
    // lets go of one: long after it is unlinked it would take its room on the tmpfs.
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0);
}

void fail(const std::string &what)
{
    const git_error *e = git_error_last();
    throw GitError(what + ": " + (e && e->message ? e->message : "libgit2 gives no reason"));
}

} // namespace xsgit::git
