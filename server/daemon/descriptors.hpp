// SPDX-License-Identifier: MIT
// The descriptor table that keeper and server share: which descriptors a new server inherits.
#pragma once

#include <string>
#include <vector>

namespace xsgit::server {

/// Closes every descriptor of this process that is neither in `keep` nor a live socket of a slot in the file
/// `slots`: what a dead server has left. Returns the sockets accepted by `listen_fd` that had not got a
/// slot yet; they stay open. Only while no server shares the table.
std::vector<int> close_leftovers(std::vector<int> keep, const std::string &slots, int listen_fd);

} // namespace xsgit::server
