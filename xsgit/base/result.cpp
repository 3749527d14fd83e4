// SPDX-License-Identifier: MIT
// The names of the errors as they go on the wire.
#include "xsgit/base/result.hpp"

#include <array>
#include <cassert>

namespace xsgit {

namespace {

constexpr std::array<std::string_view, 16> kWireNames = {
    "EINVAL",    "EACCES", "EEXIST", "EISDIR", "ENOENT", "ENOMEM",  "ENOSPC", "EIO",
    "ENOTEMPTY", "ENOSYS", "EROFS",  "EBUSY",  "EAGAIN", "EISCONN", "E2BIG",  "EPERM",
};
static_assert(kWireNames.size() == static_cast<std::size_t>(Error::Eperm) + 1);

} // namespace

std::string_view wire_name(Error e) noexcept
{
    const auto i = static_cast<std::size_t>(e);
    assert(i < kWireNames.size());
    return kWireNames[i];
}

} // namespace xsgit
