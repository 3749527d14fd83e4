// SPDX-License-Identifier: MIT
#include "bisect/serve/client_buffer.hpp"

#include "server/engine/wire.hpp"

#include <cstring>

namespace xsgit::bisect {

std::size_t ClientBuffer::announced() const noexcept
{
    return filled_ < kHeaderSize ? 0 : kHeaderSize + server::read_header(input_.data()).len;
}

bool ClientBuffer::broken() const noexcept { return announced() > kMessageMax; }

std::optional<std::string_view> ClientBuffer::request() const noexcept
{
    const std::size_t size = announced();
    if (size == 0 || size > filled_)
        return std::nullopt;
    return std::string_view(input_.data(), size);
}

void ClientBuffer::drop_request() noexcept
{
    const std::size_t size = announced();
    std::memmove(input_.data(), input_.data() + size, filled_ - size);
    filled_ -= size;
}

void ClientBuffer::sent(std::size_t n)
{
    sent_ += n;
    if (sent_ == output_.size()) {
        output_.clear();
        sent_ = 0;
    } else if (sent_ >= kOutputStall) {
        output_.erase(0, sent_);
        sent_ = 0;
    }
}

} // namespace xsgit::bisect
