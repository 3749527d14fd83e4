// SPDX-License-Identifier: MIT
#include "scratch_repo.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace xsgit::test
{

namespace fs = std::filesystem;

ScratchDir::ScratchDir() : ScratchDir(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") {}

ScratchDir::ScratchDir(const std::string &below)
{
    std::string pattern = below + "/xsgit-test-XXXXXX";
    if (!mkdtemp(pattern.data()))
        throw std::runtime_error("no temporary directory");
    path_ = pattern;
}

ScratchDir::~ScratchDir()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

RunResult run(const std::string &command)
{
    FILE *pipe = popen(("( " + command + " ) 2>&1").c_str(), "r");
    if (!pipe)
        throw std::runtime_error("no shell");
    RunResult r;
    char buffer[65536];
    while (const std::size_t n = fread(buffer, 1, sizeof buffer, pipe))
        r.output.append(buffer, n);
    const int status = pclose(pipe);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return r;
}

void write_file(const std::string &path, std::string_view content)
{
    std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::string read_file(const std::string &path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

bool exists(const std::string &path) { return fs::exists(path); }

std::vector<std::string> names_in(const std::string &dir, std::string_view suffix)
{
    std::vector<std::string> names;
    for (const auto &e : fs::directory_iterator(dir)) {
        if (e.path().filename().string().ends_with(suffix))
            names.push_back(e.path().filename().string());
    }
    return names;
}

ScratchRepo::ScratchRepo() : path_(dir_.path() + "/r.git")
{
    const RunResult r = run("git init -q --bare -b main " + path_);
    if (r.status != 0)
        throw std::runtime_error("git init: " + r.output);
}

ScratchRepo::ScratchRepo(const std::string &below) : dir_(below), path_(dir_.path() + "/r.git")
{
    const RunResult r = run("git init -q --bare -b main --template= " + path_);
    if (r.status != 0)
        throw std::runtime_error("git init: " + r.output);
}

RunResult ScratchRepo::git(const std::string &arguments) const
{
    return run("GIT_CONFIG_GLOBAL=/dev/null git -C " + path_ + " " + arguments);
}

void ScratchRepo::put(const FinishedPack &pack) const
{
    write_file(packs() + "/pack-" + pack.name + ".pack", pack.pack);
    write_file(packs() + "/pack-" + pack.name + ".idx", pack.index);
}

void ScratchRepo::set_ref(const std::string &name, const Oid &id) const
{
    const std::string file = path_ + "/" + name;
    const std::string fresh = path_ + "/fresh_ref"; // below refs/ it would be a ref, if a broken one
    write_file(fresh, id.hex() + "\n");
    if (rename(fresh.c_str(), file.c_str()) != 0)
        throw std::runtime_error("cannot set " + name);
}

} // namespace xsgit::test
