// SPDX-License-Identifier: MIT
// A log line by line, of any length in all, no line without bound.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace xsgit::record {

class Lines {
public:
    /// Bytes of a line; strace -s 65536 -xx makes lines of a quarter of that.
    static constexpr std::size_t kLineMax = 1u << 20;
    /// As session::Reader::Source.
    using Source = std::function<std::size_t(char *to, std::size_t n)>;

    explicit Lines(Source source) : source_(std::move(source)) {}
    /// The next line without its end; valid until the next call. False at the end. Throws std::runtime_error, which names the
    /// line, if it is too long.
    bool next(std::string_view &line);
    /// Of the line that was given last, from 1.
    std::uint64_t number() const noexcept { return number_; }

private:
    Source source_;
    std::string buffer_;
    std::size_t used_ = 0;
    std::uint64_t number_ = 0;
    bool end_ = false;
};

} // namespace xsgit::record
