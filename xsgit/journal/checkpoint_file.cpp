// SPDX-License-Identifier: MIT
// Replacing the checkpoint on disk, keeping the one before.
#include "xsgit/base/crash_point.hpp"
#include "xsgit/journal/file.hpp"
#include "xsgit/journal/stream.hpp"

#include <cstdio>
#include <fcntl.h>

namespace xsgit {

namespace {

void write_file(const std::string &path, std::string_view data)
{
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd)
        throw_system("cannot create " + path);
    while (!data.empty()) {
        const ssize_t n = ::write(fd.get(), data.data(), data.size());
        if (n < 0 && errno != EINTR)
            throw_system("cannot write " + path);
        if (n > 0)
            data.remove_prefix(static_cast<std::size_t>(n));
    }
}

void rename_file(const std::string &from, const std::string &to)
{
    if (std::rename(from.c_str(), to.c_str()) != 0)
        throw_system("cannot rename " + from + " to " + to);
}

} // namespace

void replace_checkpoint(const std::string &path, std::string_view data)
{
    const std::string fresh = path + ".new", old = path + ".old", second_name = path + ".link";
    // Of a call that was killed. (A rename between two names of one file does nothing and
    // leaves both, so `.link` may be left by a call that went well, too.)
    ::unlink(fresh.c_str());
    ::unlink(second_name.c_str());
    const UnlinkLater cleanup_fresh(fresh), cleanup_link(second_name);
    write_file(fresh, data);
    XSGIT_CRASH_POINT("checkpoint.written");
    // What stands at `path` gets `.old` as its second name; `path` is never without a file.
    if (::link(path.c_str(), second_name.c_str()) == 0) {
        XSGIT_CRASH_POINT("checkpoint.linked");
        rename_file(second_name, old);
        XSGIT_CRASH_POINT("checkpoint.kept");
    } else if (errno != ENOENT)
        throw_system("cannot link " + path + " to " + second_name);
    rename_file(fresh, path);
    XSGIT_CRASH_POINT("checkpoint.done");
}

} // namespace xsgit
