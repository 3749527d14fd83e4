// SPDX-License-Identifier: MIT
#include "server/daemon/control_service.hpp"

#include "server/engine/wire.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/base/limits.hpp"

#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <iterator>
#include <malloc.h>
#include <memory>

namespace xsgit::server {
namespace {

const std::string kOk = "+OK";
const std::string kBad = "!EINVAL";

/// Where the C daemon puts files that are named without a folder.
constexpr std::string_view kLibraryDir = "/var/lib/xen/xenstore/";

std::string file_named(std::string_view name)
{
    return name.starts_with('/') ? std::string(name) : std::string(kLibraryDir).append(name);
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
        return args.size() == 1 && trace_.open(file_named(args[0])) ? kOk : kBad;
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

std::string ControlService::log(const std::vector<std::string_view> &args)
{
    if (args.size() > 1)
        return kBad;
    if (args.empty()) {
        std::string text = "+Log switch settings:\n";
        for (const std::string_view name : Trace::kClasses)
            fmt::format_to(std::back_inserter(text), "{:<8}: {}\n", name, trace_.on(name) ? "on" : "off");
        return text;
    }
    if (args[0] == "off") {
        trace_.close();
        return kOk;
    }
    if (args[0] == "on")
        return trace_.is_open() || (!trace_.path().empty() && trace_.open(trace_.path())) ? kOk : kBad;
    return trace_.set(args[0]) ? kOk : kBad;
}

/// What the allocator knows, in its own words.
std::string ControlService::memreport(const std::vector<std::string_view> &args)
{
    if (args.size() > 1 || (args.empty() && !trace_.is_open()))
        return kBad;
    const std::string path = args.empty() ? trace_.path() : file_named(args[0]);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const File file(fd < 0 ? nullptr : fdopen(fd, "a"), fclose);
    if (!file)
        return kBad;
    return malloc_info(0, file.get()) == 0 && std::fflush(file.get()) == 0 ? kOk : kBad;
}

std::string ControlService::status() const
{
    std::string text = "+";
    for (const auto &[name, value] : fold_.status())
        fmt::format_to(std::back_inserter(text), "{:<20}: {}\n", name, value);
    return text;
}

} // namespace xsgit::server
