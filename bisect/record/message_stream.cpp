// SPDX-License-Identifier: MIT
// Whole messages are handed out where they lie; only what is cut is kept.
#include "bisect/record/message_stream.hpp"

#include <algorithm>
#include <utility>

namespace xsgit::record {

void MessageStream::feed(std::string_view bytes, const Each &each)
{
    while (!bytes.empty() && !lost_) {
        std::size_t whole = kHeaderSize;
        const auto known = [&](std::string_view front) {
            if (front.size() >= kHeaderSize)
                whole = kHeaderSize + server::read_header(front.data()).len;
        };
        known(held_.empty() ? bytes : std::string_view(held_));
        if (held_.empty() && whole <= kMessageMax && bytes.size() >= whole && bytes.size() >= kHeaderSize) {
            each(server::read_header(bytes.data()), bytes.substr(kHeaderSize, whole - kHeaderSize));
            bytes.remove_prefix(whole);
            continue;
        }
        if (whole > kMessageMax) {
            lost_ = true;
            announced_ = whole - kHeaderSize;
            break;
        }
        const std::size_t take = std::min(whole - held_.size(), bytes.size());
        held_.append(bytes.substr(0, take));
        bytes.remove_prefix(take);
        known(held_);
        if (held_.size() == whole) {
            const std::string message = std::exchange(held_, {});
            each(server::read_header(message.data()), std::string_view(message).substr(kHeaderSize));
        }
    }
    passed_ += bytes.size();
}

} // namespace xsgit::record
