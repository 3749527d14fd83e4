// SPDX-License-Identifier: MIT
// Why a tool ends without an answer, and with which exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace xsgit::inspect {

enum ExitCode : int {
    kOk = 0,
    kDiffers = 1,
    kUsage = 2,
    kNoRepository = 3, // or one that cannot be read
    kNoRevision = 4,   // or no such node in it
    kPruned = 5,
};

/// The text says what to do.
struct ToolFailure : std::runtime_error {
    ToolFailure(ExitCode c, const std::string &text) : std::runtime_error(text), code(c) {}
    ExitCode code;
};

} // namespace xsgit::inspect
