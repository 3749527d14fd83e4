// SPDX-License-Identifier: MIT
#include "server/daemon/control_service.hpp"

#include "server/engine/wire.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/base/limits.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>
#include <iterator>
#include <malloc.h>
#include <memory>
#include <system_error>

namespace xsgit::server {
namespace {

const std::string kOk = "+OK";
const std::string kBad = "!EINVAL";

/// Characters of a file name that an answer repeats: it has to fit into a message.
constexpr std::size_t kNameShown = 300;

/// xenstore-control shows an answer as it is, but of EINVAL it says that there is no such command.
std::string cannot_open(const std::string &path)
{
    const std::string why = std::generic_category().message(errno);
    return fmt::format("+cannot open {}: {}", escape(path, kNameShown), why);
}

using File = std::unique_ptr<FILE, int (*)(FILE *)>;

} // namespace

std::optional<std::string> ControlService::serve(std::string_view payload, std::uint64_t &wait)
{
    std::vector<std::string_view> args = arguments(payload, kPayloadMax);
    if (args.empty())
        return kBad;
    const std::string_view command = args.front();
    args.erase(args.begin());
    if (command == "log")
        return log(args);
    if (command == "memreport")
        return memreport(args);
    if (command == "logfile")
        return args.size() == 1 ? logfile(Trace::file_named(args[0])) : kBad;
    if (command == "print") {
        if (args.size() != 1)
            return kBad;
        log_.notice("print", "control: " + escape(args[0]));
        return kOk;
    }
    if (!args.empty())
        return kBad;
    if (command == "status")
        return status();
    if (command != "sync")
        return kBad;
    if (wait == 0)
        wait = fold_.event_number();
    if (!fold_.published(wait))
        return std::nullopt;
    wait = 0;
    return kOk;
}

std::string ControlService::logfile(const std::string &path)
{
    if (trace_.open(path))
        return kOk;
    return cannot_open(path) +
           (trace_.is_open() ? "; the trace goes on in the file before" : "; nothing is traced");
}

std::string ControlService::log(const std::vector<std::string_view> &args)
{
    if (args.size() > 1)
        return kBad;
    if (args.empty()) {
        std::string text = "+Log switch settings:\n";
        for (const std::string_view name : Trace::kClasses)
            fmt::format_to(std::back_inserter(text), "{:<8}: {}{}\n", name, trace_.on(name) ? "on" : "off",
                           Trace::has_lines(name) ? "" : " (writes nothing here)");
        return text;
    }
    if (args[0] == "off") {
        trace_.close();
        return kOk;
    }
    if (args[0] == "on") // opened again if it is open: it may have been renamed
        return trace_.path().empty() ? "+there is no trace file: name one with logfile <file>"
                                     : logfile(trace_.path());
    return trace_.set(args[0]) ? kOk : kBad;
}

/// What the allocator knows, in its own words.
std::string ControlService::memreport(const std::vector<std::string_view> &args)
{
    if (args.size() > 1)
        return kBad;
    if (args.empty() && trace_.path().empty())
        return "+there is no trace file to write to: name a file";
    const std::string path = args.empty() ? trace_.path() : Trace::file_named(args[0]);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
    const File file(fd < 0 ? nullptr : fdopen(fd, "a"), fclose);
    if (!file)
        return cannot_open(path);
    return malloc_info(0, file.get()) == 0 && std::fflush(file.get()) == 0 ? kOk : "!EIO";
}

std::string ControlService::status() const
{
    std::string text = "+";
    for (const auto &[name, value] : fold_.status())
        fmt::format_to(std::back_inserter(text), "{:<20}: {}\n", name, value);
    return text;
}

} // namespace xsgit::server
