// SPDX-License-Identifier: MIT
// "TOOL OPTION... -- CMD ARG...": what stands behind "--" is another program's and left as it is.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace xsgit::bisect {

class CommandLine {
public:
    CommandLine(int argc, char **argv);

    /// Words before "--", the tool's name included.
    int argc() const noexcept { return argc_; }
    /// Not empty; null: there is no "--". Throws inspect::ToolFailure (kUsage) if nothing stands behind it.
    const std::vector<std::string> *command() const;

private:
    int argc_;
    std::optional<std::vector<std::string>> command_;
};

} // namespace xsgit::bisect
