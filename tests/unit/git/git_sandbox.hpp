// SPDX-License-Identifier: MIT
// A repository in a temporary directory, stock git on it, and trees to fill it with.
#pragma once

#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/repository.hpp"
#include "xsgit/tree/tree.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace xsgit::test {

/// What a command printed, and how it ended.
struct Ran {
    int status = -1;
    std::string out; // stderr too
};

class Sandbox {
public:
    Sandbox(); // makes the repository
    ~Sandbox();
    Sandbox(const Sandbox &) = delete;
    Sandbox &operator=(const Sandbox &) = delete;

    const std::string &dir() const { return dir_; }
    std::string repo_path() const { return dir_ + "/store.git"; }
    Repository &repo() { return *repo_; }

    /// `git -C <repository> <args>` through a shell.
    Ran git(const std::string &args, const std::string &stdin_text = {}) const;
    /// The output without the newline at its end; fails the test if git failed.
    std::string git_ok(const std::string &args, const std::string &stdin_text = {}) const;

    /// Writes what `pack` holds as a pack of the repository.
    void publish(PackBuffer &pack);
    /// publish(), then main and conflicts.
    void publish(HistoryWriter &writer);
    /// A commit without parents, as refs/heads/<branch>.
    Oid commit(const Oid &tree, PackBuffer &pack, const std::string &branch = "main");
    void fsck() const;

private:
    std::string dir_;
    std::unique_ptr<Repository> repo_;
};

/// Stock git's view of the environment: no configuration but the repository's.
Ran run(const std::string &command, const std::string &stdin_text = {});

PermsRef perms(std::string_view text);
Tree empty_tree(std::string_view root_perms = "n0,r7");
/// Writes `value`; missing directories are made, with the perms of the parent. New nodes get `list` or the
/// parent's.
Tree write(const Tree &t, const std::string &path, std::string_view value, std::string_view list = {});
Tree set_perms(const Tree &t, const std::string &path, std::string_view list);
Tree remove(const Tree &t, const std::string &path);
/// The same state with new nodes: no annotation is left.
Tree fresh(const Tree &t);

} // namespace xsgit::test
