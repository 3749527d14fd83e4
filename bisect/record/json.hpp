// SPDX-License-Identifier: MIT
// Session records as JSON objects.
#pragma once

#include "inspect/json.hpp"
#include "xsgit/session/record.hpp"

namespace xsgit::record {

/// {"at":12.000345,"kind":"request","conn":3,"type":"WRITE","req_id":7,"tx_id":1,"payload":"…"}. "at" is in seconds. What is not
/// known is left out; bytes that are no UTF-8 stand in "payload_hex" and the like.
inspect::Json record_json(const session::Record &record);

} // namespace xsgit::record
