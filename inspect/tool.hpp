// SPDX-License-Identifier: MIT
// What the programs have in common: options, messages, exit codes. Not part of the library: this prints.
#pragma once

#include "inspect/failure.hpp"
#include "inspect/view.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace xsgit::inspect {

class Tool {
public:
    Tool(const char *name, const char *what);

    CLI::App &app() noexcept { return app_; }
    bool utc() const noexcept { return utc_; }

    /// Parses, runs, and gives the exit code. Standard output is flushed; errors of it count.
    int run(int argc, char **argv, const std::function<int()> &body);

    /// --repo, else XS_REPO, else the daemon's default. What it has to remark goes to standard error.
    std::unique_ptr<RepositoryView> open();
    /// A line on standard error.
    void note(const std::string &text) const;

private:
    std::string name_;
    CLI::App app_;
    std::string repo_;
    bool utc_ = false;
};

/// A check for options whose empty value can only be a mistake, as of a variable that is not set.
std::string not_empty(const std::string &value);

struct OutputFailed : ToolFailure {
    using ToolFailure::ToolFailure;
};
/// To standard output. Throws OutputFailed.
void print(std::string_view text);
void flush();

} // namespace xsgit::inspect
