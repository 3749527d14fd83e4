// SPDX-License-Identifier: MIT
// What one client has sent and not been answered, what it has been answered and not taken. No I/O.
#pragma once

#include "xsgit/base/limits.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace xsgit::bisect {

class ClientBuffer {
public:
    /// Where the next bytes are to be read to; empty while a whole request waits there.
    std::span<char> room() noexcept { return {input_.data() + filled_, input_.size() - filled_}; }
    void filled(std::size_t n) noexcept { filled_ += n; }

    /// The next whole request, valid until drop_request(); nullopt: there is none yet.
    std::optional<std::string_view> request() const noexcept;
    void drop_request() noexcept;
    /// It announced a request longer than the protocol allows: nothing behind that can be understood.
    bool broken() const noexcept;

    void answer(std::string_view message) { output_ += message; }
    std::string_view unsent() const noexcept { return std::string_view(output_).substr(sent_); }
    void sent(std::size_t n);
    /// Nothing is executed for it until it has taken some: what waits is bounded by kOutputStall and two messages.
    bool stalled() const noexcept { return unsent().size() >= kOutputStall; }

private:
    std::size_t announced() const noexcept; // bytes of the request at the front; 0: not known yet

    std::array<char, kMessageMax> input_;
    std::size_t filled_ = 0;
    std::string output_;
    std::size_t sent_ = 0;
};

} // namespace xsgit::bisect
