// SPDX-License-Identifier: MIT
// Errors that go away when somebody makes room.
#pragma once

#include <cerrno>
#include <system_error>

namespace xsgit {

inline bool is_lack_of_room(const std::system_error &e) noexcept
{
    const int code = e.code().value();
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

} // namespace xsgit
