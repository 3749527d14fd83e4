// SPDX-License-Identifier: MIT
// A bare repository in a temporary directory, and stock git as the judge of what we put in.
#pragma once

#include "xsgit/git/pack_buffer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace xsgit::test {

/// A directory that goes with the object. On /dev/shm if there is one.
class ScratchDir {
public:
    ScratchDir();
    explicit ScratchDir(const std::string &below);
    ScratchDir(const ScratchDir &) = delete;
    ~ScratchDir();
    const std::string &path() const { return path_; }

private:
    std::string path_;
};

struct RunResult {
    int status = -1; // exit code
    std::string output;
};
/// By the shell, standard error included.
RunResult run(const std::string &command);

void write_file(const std::string &path, std::string_view content);
std::string read_file(const std::string &path);
bool exists(const std::string &path);
/// Names in a directory that end in `suffix`.
std::vector<std::string> names_in(const std::string &dir, std::string_view suffix = {});

class ScratchRepo {
public:
    ScratchRepo();
    explicit ScratchRepo(const std::string &below);

    const std::string &path() const { return path_; }
    std::string objects() const { return path_ + "/objects"; }
    std::string packs() const { return path_ + "/objects/pack"; }
    /// "git -C <repo> <arguments>".
    RunResult git(const std::string &arguments) const;
    /// Puts the files of a pack in place, without a .keep.
    void put(const FinishedPack &pack) const;
    void set_ref(const std::string &name, const Oid &id) const;

private:
    ScratchDir dir_;
    std::string path_;
};

} // namespace xsgit::test
