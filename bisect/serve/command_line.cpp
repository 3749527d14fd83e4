// SPDX-License-Identifier: MIT
#include "bisect/serve/command_line.hpp"

#include "inspect/failure.hpp"

#include <algorithm>
#include <string_view>

namespace xsgit::bisect {

CommandLine::CommandLine(int argc, char **argv) : argc_(argc)
{
    char **const end = argv + argc;
    char **const mark = std::find(argv, end, std::string_view("--"));
    if (mark == end)
        return;
    argc_ = static_cast<int>(mark - argv);
    command_.emplace(mark + 1, end);
}

const std::vector<std::string> *CommandLine::command() const
{
    if (command_ && command_->empty())
        throw inspect::ToolFailure(inspect::kUsage, "there is no command behind --");
    return command_ ? &*command_ : nullptr;
}

} // namespace xsgit::bisect
