// SPDX-License-Identifier: MIT
// Operations, values and replies as pieces of a line. Everything is escaped; nothing here makes a newline.
#pragma once

#include "xsgit/change.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace xsgit {

/// "write /a/b": verb and path.
std::string operation_text(const Operation &op);
/// The bytes, cut at `limit`; in quotes where one could not see where they begin or end.
std::string value_text(std::string_view value, std::size_t limit);
/// The answer to a request; lists of names or permissions with spaces between them.
std::string reply_text(OpKind kind, std::string_view reply, std::size_t limit);
/// "read /a = 1", "write /a = 1: OK".
std::string request_and_reply(const Operation &op, std::string_view reply, std::size_t limit);
/// before + "17 (pid 4242 xenstore-write)" + after; nothing for the daemon itself.
void put_actor(std::string &out, const Actor &actor, std::string_view before, std::string_view after);

} // namespace xsgit
