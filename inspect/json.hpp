// SPDX-License-Identifier: MIT
// Records as JSON objects; a tool prints one per line.
#pragma once

#include "inspect/log_walk.hpp"
#include "inspect/tree_diff.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace xsgit::inspect {

using Json = nlohmann::ordered_json;

/// Bytes under `key`, or in hex under `key`_hex if they are no UTF-8.
void put_bytes(Json &json, const std::string &key, std::string_view bytes);
/// {"path":…,"value":…,"perms":…}. Bytes that are no UTF-8 stand in "value_hex" instead.
Json node_json(std::string_view path, const NodeState &state);
/// {"status":"M","path":…,"before":{…},"after":{…}}; the side that is absent is left out.
Json change_json(const NodeChange &change);
/// The record; values are read from the commit's tree, whole.
Json log_json(TreeReader &reader, const LogEntry &entry);

/// One line of ASCII, with newline.
std::string json_line(const Json &json);

} // namespace xsgit::inspect
