// SPDX-License-Identifier: MIT
#include "bisect/output_file.hpp"

#include "inspect/failure.hpp"
#include "server/daemon/unique_fd.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/core.h>
#include <memory>
#include <sys/stat.h>
#include <system_error>

namespace xsgit::replay {

using inspect::ToolFailure;

namespace {

[[noreturn]] void cannot_write(const std::string &path)
{
    throw ToolFailure(inspect::kNoRepository,
                      fmt::format("cannot write {}: {}", path, std::generic_category().message(errno)));
}

[[noreturn]] void is_there(const std::string &path)
{
    throw ToolFailure(
        inspect::kUsage,
        fmt::format("{} is there already: remove it, choose another name, or say --force", path));
}

enum class Kind { Nothing, File, Other };
Kind kind_of(const std::string &path)
{
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0)
        return Kind::Nothing;
    return S_ISREG(s.st_mode) ? Kind::File : Kind::Other;
}

/// Takes the descriptor.
void fill_file(server::UniqueFd fd, const std::string &path, const Fill &fill)
{
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(::fdopen(fd.get(), "wb"), &std::fclose);
    if (!file)
        cannot_write(path);
    fd.release();
    fill([&](std::string_view part) {
        if (std::fwrite(part.data(), 1, part.size(), file.get()) != part.size())
            cannot_write(path);
    });
    if (std::fflush(file.get()) != 0)
        cannot_write(path);
}

/// What `path` names, behind symbolic links: they stay.
std::string behind_links(const std::string &path)
{
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    return real ? real.get() : path;
}

} // namespace

void refuse_existing(const std::string &path, bool replace)
{
    if (!replace && kind_of(path) == Kind::File)
        is_there(path);
}

void write_output(const std::string &path, bool replace, const Fill &fill)
{
    refuse_existing(path, replace);
    if (kind_of(path) == Kind::Other) {
        server::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!fd)
            cannot_write(path);
        return fill_file(std::move(fd), path, fill);
    }
    const std::string target = behind_links(path);
    std::string beside = target + ".XXXXXX";
    server::UniqueFd fd(::mkostemp(beside.data(), O_CLOEXEC)); // mode 0600
    if (!fd)
        cannot_write(path);
    struct Remove {
        const std::string &name;
        ~Remove() { ::unlink(name.c_str()); }
    } const remove{beside}; // once it has its name, that of nothing
    fill_file(std::move(fd), path, fill);
    // link() never replaces what came to be meanwhile.
    if (replace ? ::rename(beside.c_str(), target.c_str()) != 0
                : ::link(beside.c_str(), target.c_str()) != 0) {
        if (errno == EEXIST)
            is_there(path);
        cannot_write(path);
    }
}

} // namespace xsgit::replay
