// SPDX-License-Identifier: MIT
// Taking a text apart from the front.
#pragma once

#include <string_view>

namespace xsgit::record {

/// Takes `prefix` off the front of `text`; false, and nothing happens, if it is not there.
inline bool takes(std::string_view &text, std::string_view prefix)
{
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

} // namespace xsgit::record
