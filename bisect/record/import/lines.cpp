// SPDX-License-Identifier: MIT
// Reads ahead a chunk, keeps one line.
#include "bisect/record/import/lines.hpp"

#include <fmt/core.h>
#include <stdexcept>

namespace xsgit::record {

bool Lines::next(std::string_view &line)
{
    constexpr std::size_t kChunk = 65536;
    buffer_.erase(0, used_);
    used_ = 0;
    std::size_t looked = 0;
    for (;;) {
        const std::size_t end = buffer_.find('\n', looked);
        if (end != buffer_.npos || (end_ && !buffer_.empty())) {
            line = std::string_view(buffer_).substr(0, end);
            used_ = end == buffer_.npos ? buffer_.size() : end + 1;
            ++number_;
            return true;
        }
        if (end_)
            return false;
        looked = buffer_.size();
        if (looked > kLineMax)
            throw std::runtime_error(
                fmt::format("line {} is longer than {} bytes: this is no such log", number_ + 1, kLineMax));
        buffer_.resize(looked + kChunk);
        const std::size_t got = source_(buffer_.data() + looked, kChunk);
        buffer_.resize(looked + got);
        end_ = got == 0;
    }
}

} // namespace xsgit::record
