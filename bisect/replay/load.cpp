// SPDX-License-Identifier: MIT
// A session file becomes a script.
#include "bisect/replay/script.hpp"
#include "xsgit/session/reader.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/core.h>
#include <system_error>
#include <unistd.h>

namespace xsgit::replay {

namespace {

class File {
public:
    explicit File(const std::string &name)
        : name_(name == "-" ? "standard input" : name),
          fd_(name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC))
    {
        if (fd_ < 0)
            throw std::system_error(errno, std::generic_category(), name_);
    }
    ~File()
    {
        if (fd_ != STDIN_FILENO)
            ::close(fd_);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;

    std::size_t read(char *to, std::size_t n)
    {
        ssize_t got;
        do
            got = ::read(fd_, to, n);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            throw std::system_error(errno, std::generic_category(), name_);
        return static_cast<std::size_t>(got);
    }

private:
    std::string name_;
    int fd_;
};

} // namespace

Ending read_session(const std::string &file,
                    const std::function<void(const session::Record &, std::uint64_t)> &each)
{
    File in(file);
    session::Reader reader([&](char *to, std::size_t n) { return in.read(to, n); });
    Ending end{reader.meta(), {}, false};
    each({0, end.meta}, 1);
    try {
        while (const auto record = reader.next())
            each(*record, reader.records());
    } catch (const session::SessionDamaged &e) {
        end.damage = e.what();
    }
    end.complete = reader.complete();
    return end;
}

Script load_script(const std::string &file)
{
    ScriptBuilder builder;
    Ending end = read_session(file, [&](const session::Record &r, std::uint64_t number) {
        if (builder.memory() > kScriptBytes)
            throw NotPlayable(
                fmt::format("this session takes more than {} MiB of memory: cut it into parts when recording",
                            kScriptBytes >> 20));
        builder.add(r, number);
    });
    Script script = std::move(builder).finish();
    script.damage = std::move(end.damage);
    script.complete = script.complete && end.complete;
    return script;
}

} // namespace xsgit::replay
