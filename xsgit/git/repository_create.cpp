// SPDX-License-Identifier: MIT
// A new, empty repository with our configuration.
#include "xsgit/git/git_handle.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace xsgit {

namespace {

constexpr const char *kDescription = "xenstore, as a history: git log --first-parent main\n";

constexpr const char *kNoPush =
    "#!/bin/sh\n"
    "echo 'This history is written by xenstored alone; pushing to it is refused.' >&2\n"
    "exit 1\n";

constexpr std::pair<const char *, const char *> kConfig[] = {
    {"gc.auto", "0"}, // nobody but a person fuses our packs
    {"maintenance.auto", "false"},
    {"core.fsync", "none"}, // the store ends with the host's boot
    {"core.logAllRefUpdates", "false"},
    {"receive.autogc", "false"},
    {"receive.denyDeletes", "true"}, // what a push may do is decided by the hook: nothing
    {"receive.denyNonFastForwards", "true"},
    {"http.receivepack", "false"},
    {"daemon.receivepack", "false"},
};

[[noreturn]] void fail_errno(const std::string &what)
{
    throw GitError(what + ": " + std::generic_category().message(errno));
}

void write_file(const std::string &path, std::string_view text, mode_t mode)
{
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        fail_errno("cannot make " + path);
    const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const bool moded = fchmod(fd, mode) == 0;
    if (close(fd) != 0 || !written || !moded)
        fail_errno("cannot write " + path);
}

void fill(const std::string &dir)
{
    git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT;
    options.mode = 0700;
    options.initial_head = "main";
    git::RepositoryHandle repo;
    if (git_repository_init_ext(git::out(repo), dir.c_str(), &options) < 0)
        git::fail("cannot make a repository in " + dir);
    git::ConfigHandle config;
    if (git_repository_config(git::out(config), repo.get()) < 0)
        git::fail("cannot configure " + dir);
    // Only the file of this repository: the first one of the handle may be the user's.
    git::ConfigHandle local;
    if (git_config_open_level(git::out(local), config.get(), GIT_CONFIG_LEVEL_LOCAL) < 0)
        git::fail("cannot configure " + dir);
    for (const auto &[name, value] : kConfig)
        if (git_config_set_string(local.get(), name, value) < 0)
            git::fail("cannot configure " + dir);
    write_file(dir + "/description", kDescription, 0600);
    if (mkdir((dir + "/hooks").c_str(), 0700) != 0 && errno != EEXIST)
        fail_errno("cannot make " + dir + "/hooks");
    write_file(dir + "/hooks/pre-receive", kNoPush, 0700);
}

} // namespace

void Repository::create(const std::string &path)
{
    std::string target = path;
    while (target.size() > 1 && target.ends_with('/'))
        target.pop_back();
    const git::Library library;
    std::string beside = target + ".new-XXXXXX";
    if (!mkdtemp(beside.data())) // 0700
        fail_errno("cannot make a directory beside " + target);
    try {
        fill(beside);
        if (rename(beside.c_str(), target.c_str()) != 0)
            fail_errno("cannot make " + target);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove_all(beside, ignored);
        throw;
    }
}

} // namespace xsgit
