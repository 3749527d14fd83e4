// SPDX-License-Identifier: MIT
// What xs-replay was asked to do.
#pragma once

#include "bisect/replay/predicate.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::replay {

struct ReplayRequest {
    std::string session, from, to; // a session, or commits
    std::string speed = "max", until, output, test, fails_if;
    Stage stage;
    NodePredicate node;
    std::optional<std::uint64_t> seed;
    double timeout = 10;
    std::uint64_t max_runs = 100000;
    bool check = false, step = false, show = false, dump = false, shell = false, commits = false,
         minimize = false, force = false;
    std::vector<std::string> command; // behind "--"; with it shell is set

    /// Then nothing else may be written there.
    bool result_on_stdout() const { return output == "-" || test == "-"; }
    bool has_predicate() const { return !node.path.empty() || !fails_if.empty(); }
};

/// The program's options, which fill `o` when they are parsed; it must live until then.
void add_options(CLI::App &app, ReplayRequest &o);

/// Puts together what was parsed. Throws inspect::ToolFailure (kUsage) for what makes no sense.
void must_fit(ReplayRequest &o);

/// 0: as fast as possible; else times the recorded speed. Throws as above.
double speed_of(const std::string &text);
/// "12": requests, "1.5s": time since the begin, empty: no limit. Throws as above.
Limit limit_of(const std::string &text);

} // namespace xsgit::replay
