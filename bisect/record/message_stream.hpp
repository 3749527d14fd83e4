// SPDX-License-Identifier: MIT
// Cuts what one side of a connection sends into messages of the protocol.
#pragma once

#include "server/engine/wire.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace xsgit::record {

class MessageStream {
public:
    /// Gets each whole message; the payload is valid during the call.
    using Each = std::function<void(const server::Header &, std::string_view payload)>;

    /// Takes bytes in the order in which they were sent, cut anywhere. Holds at most one message, whatever comes. O(bytes).
    void feed(std::string_view bytes, const Each &each);

    /// A header announced more bytes than a message may have: nothing behind it can be told apart.
    bool lost() const noexcept { return lost_; }
    /// Bytes that belong to no whole message: of one that is not complete yet, or all since the stream was lost.
    std::size_t left() const noexcept { return held_.size() + passed_; }
    /// What was announced when the stream was lost, bytes.
    std::size_t announced() const noexcept { return announced_; }

private:
    std::string held_;
    std::size_t passed_ = 0, announced_ = 0;
    bool lost_ = false;
};

} // namespace xsgit::record
