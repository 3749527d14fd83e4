// SPDX-License-Identifier: MIT
#include "server/daemon/trace.hpp"

#include "server/engine/wire.hpp"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <fmt/core.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

namespace xsgit::server {
namespace {

constexpr std::string_view kLibraryDir = "/var/lib/xen/xenstore/";

std::string now()
{
    const std::time_t t = std::time(nullptr);
    std::tm local{};
    char text[32] = "";
    if (localtime_r(&t, &local))
        (void)std::strftime(text, sizeof text, "%Y%m%d %H:%M:%S", &local);
    return text;
}

std::string printable(std::string_view bytes)
{
    std::string out;
    for (const char c : bytes) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '\0')
            out += ' ';
        else if (u < 0x20 || u >= 0x7f || c == '\\')
            fmt::format_to(std::back_inserter(out), "\\{:03o}", u);
        else
            out += c;
    }
    return out;
}

} // namespace

std::string Trace::file_named(std::string_view name)
{
    return name.starts_with('/') ? std::string(name) : std::string(kLibraryDir).append(name);
}

bool Trace::open(const std::string &path)
{
    if (path.starts_with(kLibraryDir))
        (void)::mkdir(std::string(kLibraryDir).c_str(), 0755); // not all of Xen's packages have it
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC,
                       0600)); // of a pipe nobody reads, lines are lost rather than time
    if (!fd) {
        if (path_.empty())
            path_ = path;
        return false;
    }
    fd_ = std::move(fd);
    path_ = path;
    line("\n***\n");
    return true;
}

void Trace::close() noexcept
{
    fd_.reset();
    objects_.clear();
}

void Trace::reopen()
{
    if (fd_)
        open(path_);
}

bool Trace::set(std::string_view change)
{
    if (change.empty() || (change[0] != '+' && change[0] != '-'))
        return false;
    const auto it = std::find(kClasses.begin(), kClasses.end(), change.substr(1));
    if (it == kClasses.end())
        return false;
    const unsigned bit = 1u << (it - kClasses.begin());
    classes_ = change[0] == '+' ? classes_ | bit : classes_ & ~bit;
    return true;
}

bool Trace::on(std::string_view name) const
{
    const auto it = std::find(kClasses.begin(), kClasses.end(), name);
    return it != kClasses.end() && (classes_ & (1u << (it - kClasses.begin()))) != 0;
}

void Trace::in(std::uint64_t conn, std::uint32_t domid, std::string_view bytes)
{
    if (!is_open() || bytes.size() < kHeaderSize)
        return;
    objects_.request(conn, bytes);
    message("IN", conn, domid, bytes);
}

void Trace::out(std::uint64_t conn, std::uint32_t domid, std::string_view bytes)
{
    if (!is_open() || bytes.size() < kHeaderSize)
        return;
    objects(objects_.output(conn, bytes));
    message("OUT", conn, domid, bytes);
}

void Trace::message(std::string_view direction, std::uint64_t conn, std::uint32_t domid,
                    std::string_view bytes)
{
    if (!wants(Io))
        return;
    const std::string_view type = type_name(read_header(bytes.data()).type);
    line(fmt::format("io: {} {:#x} (d{}) {} {} ({})\n", direction, conn, domid, now(),
                     type == "UNKNOWN" ? "**UNKNOWN**" : type, printable(bytes.substr(kHeaderSize))));
}

void Trace::credit(std::uint32_t domid, double credit, double reserve)
{
    if (wants(Wrl))
        line(fmt::format("wrl: domain {} credit={:.2f} (reserve={:.2f})\n", domid, credit, reserve));
}

void Trace::connected(std::uint64_t conn)
{
    if (wants(Obj))
        line(fmt::format("obj: CREATE connection {:#x}\n", conn));
}

void Trace::disconnected(std::uint64_t conn)
{
    objects(objects_.close(conn));
    if (wants(Obj))
        line(fmt::format("obj: DESTROY connection {:#x}\n", conn));
}

void Trace::objects(const std::vector<TraceObjects::Change> &changes)
{
    if (!wants(Obj))
        return;
    for (const TraceObjects::Change &c : changes)
        line(fmt::format("obj: {} {:#x}\n", c.what, c.number));
}

void Trace::line(std::string_view text) const { (void)!::write(fd_.get(), text.data(), text.size()); }

} // namespace xsgit::server
