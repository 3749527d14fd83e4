// SPDX-License-Identifier: MIT
// Files are written with one write() for many records, and only whole records are ever handed to it.
#include "bisect/record/session_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdexcept>
#include <system_error>

namespace xsgit::record {

namespace {

constexpr std::size_t kBufferBytes = 1u << 20;

[[noreturn]] void cannot(const std::string &what, const std::string &path)
{
    throw std::runtime_error(
        fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(errno)));
}

/// Does not wait for a FIFO's reader: ENXIO.
server::UniqueFd open_for_writing(const std::string &path, bool replace)
{
    server::UniqueFd fd(::open(
        path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (replace ? O_TRUNC : O_EXCL), 0600));
    if (fd)
        (void)::fcntl(fd.get(), F_SETFL, 0); // writing may wait
    return fd;
}

} // namespace

std::string contradiction(const FileOptions &o)
{
    const bool rotates = o.rotate_bytes != 0 || o.rotate_seconds != 0;
    if (o.path == "-" && rotates)
        return "standard output cannot be rotated: name a file with -o";
    if (o.keep != 0 && !rotates)
        return "--keep is for files that are rotated: give --rotate-size or --rotate-time, too";
    return "";
}

SessionFile::SessionFile(FileOptions options, session::Meta meta)
    : o_(std::move(options)), meta_(std::move(meta))
{
    if (const std::string wrong = contradiction(o_); !wrong.empty())
        throw std::runtime_error(wrong);
    begin(0, make_next());
    flush();
}

SessionFile::Part SessionFile::make_next()
{
    if (o_.path == "-")
        return {o_.path, server::UniqueFd(::dup(STDOUT_FILENO))};
    for (;;) {
        std::string path = rotates() ? fmt::format("{}.{}", o_.path, ++part_) : o_.path;
        server::UniqueFd fd(open_for_writing(path, o_.replace));
        if (fd)
            return {std::move(path), std::move(fd)};
        if (errno == ENXIO)
            throw std::runtime_error(
                fmt::format("nobody reads {}: start the reader of a FIFO first, or name a file", path));
        if (errno != EEXIST)
            cannot("make", path);
        if (!rotates())
            throw std::runtime_error(
                fmt::format("{} is there already: remove it, choose another name, or say --force", path));
    }
}

void SessionFile::begin(std::uint64_t at_us, Part part)
{
    path_ = std::move(part.path);
    fd_ = std::move(part.fd);
    kept_.push_back(path_);
    if (o_.keep == 0 || kept_.size() > o_.keep) {
        if (o_.keep != 0)
            ::unlink(kept_.front().c_str()); // who has removed it already is welcome
        kept_.pop_front();
    }
    written_ = 0;
    part_begin_us_ = at_us;
    session::Meta meta = meta_;
    if (meta.start_us != 0)
        meta.start_us += at_us;
    writer_ = std::make_unique<session::Writer>(meta, [this](std::string_view bytes) { buffer_ += bytes; });
}

bool SessionFile::due(std::uint64_t at_us) const noexcept
{
    // Twice what it began with: many open connections shall not make a file of each record.
    const bool full = o_.rotate_bytes != 0 && writer_->bytes() >= std::max(o_.rotate_bytes, 2 * base_);
    return full || (o_.rotate_seconds != 0 && at_us >= part_begin_us_ + o_.rotate_seconds * 1'000'000);
}

void SessionFile::rotate(std::uint64_t at_us, const std::function<void()> &opening)
{
    const auto last_name = [](const std::string &path) { return path.substr(path.rfind('/') + 1); };
    const std::string before = last_name(path_);
    Part next = make_next();
    put(at_us, session::End{"continued in " + last_name(next.path)});
    flush();
    bytes_before_ += writer_->bytes();
    begin(at_us, std::move(next));
    put(at_us, session::Note{"goes on from " + before});
    opening();
    base_ = writer_->bytes();
}

void SessionFile::put(std::uint64_t at_us, const session::Body &body)
{
    writer_->add(at_us - std::min(at_us, part_begin_us_), body);
    ++records_;
}

void SessionFile::add(std::uint64_t at_us, const session::Body &body)
{
    if (!o_.rotate_by_caller && due(at_us))
        rotate(at_us, [&] {
            for (const auto &[conn, opened] : open_)
                put(at_us, opened);
        });
    try {
        put(at_us, body);
    } catch (const session::NotWritable &e) {
        put(at_us, session::Note{fmt::format("not recorded: {}", e.what())});
        return;
    }
    if (rotates() && !o_.rotate_by_caller) {
        if (const auto *opened = std::get_if<session::Opened>(&body)) {
            session::Opened again = *opened;
            again.before = true;
            open_.emplace(again.conn, std::move(again));
        } else if (const auto *closed = std::get_if<session::Closed>(&body)) {
            open_.erase(closed->conn);
        }
    }
    if (buffer_.size() > kBufferBytes)
        flush();
}

void SessionFile::flush()
{
    std::size_t done = 0;
    while (done < buffer_.size()) {
        const ssize_t n = ::write(fd_.get(), buffer_.data() + done, buffer_.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const int error = errno;
            if (path_ != "-") // there may be more in it than ours; nor of a pipe: its reader sees the cut
                (void)!::ftruncate(fd_.get(), static_cast<off_t>(written_));
            errno = error;
            cannot("write", path_);
        }
        done += static_cast<std::size_t>(n);
    }
    written_ += done;
    buffer_.clear();
}

void SessionFile::finish(std::uint64_t at_us, const std::string &reason)
{
    put(at_us, session::End{reason});
    flush();
}

} // namespace xsgit::record
