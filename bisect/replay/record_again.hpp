// SPDX-License-Identifier: MIT
// A script written down: as a session, as a test case of this project, and the state it ended in as text.
#pragma once

#include "bisect/replay/script.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {
class State;
}

namespace xsgit::replay {

/// What came at each step, ids of transactions as Runner gives them.
using Answers = std::vector<std::vector<Received>>;

/// With `answers` (as many as steps) if there are any, else with the recorded replies. The ids of connections are kept where
/// each is used once, else they are numbered from 1. Throws session::NotWritable.
void write_session(const Script &script, const Answers &answers,
                   const std::function<void(std::string_view)> &sink);

/// In the notation of tests/system/lib/script.py; `answers` are those of a fresh engine, as many as steps.
std::string test_case(const Script &script, const Answers &answers, std::string_view title);

/// All nodes, a line each, in order of name, children behind their parents, the hidden ones last; then a blank line and what the
/// engine knows beside them.
std::string state_text(const server::State &state);

} // namespace xsgit::replay
