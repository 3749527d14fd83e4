// SPDX-License-Identifier: MIT
#include "xsgit/base/result.hpp"

#include <doctest/doctest.h>

using namespace xsgit;

TEST_CASE("result: names on the wire, in the order that clients know")
{
    const std::string_view names[] = {"EINVAL", "EACCES",  "EEXIST",    "EISDIR", "ENOENT", "ENOMEM",
                                      "ENOSPC", "EIO",     "ENOTEMPTY", "ENOSYS", "EROFS",  "EBUSY",
                                      "EAGAIN", "EISCONN", "E2BIG",     "EPERM"};
    for (std::size_t i = 0; i < std::size(names); ++i)
        CHECK(wire_name(static_cast<Error>(i)) == names[i]);
}
