// SPDX-License-Identifier: MIT
// A file that a program writes: whole or not at all, and readable by its owner only, as it may hold what guests wrote.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace xsgit::replay {

using Fill = std::function<void(const std::function<void(std::string_view)> &sink)>;

/// Throws inspect::ToolFailure (kUsage) if a file of this name is there, which must not be replaced. What is no file (a device, a
/// pipe) may be there. For a look before the work; write_output() looks again.
void refuse_existing(const std::string &path, bool replace);

/// Writes what `fill` gives into a new file beside `path`, mode 0600, which then takes its name; a device or pipe is
/// written to. Throws inspect::ToolFailure, and what `fill` throws; then `path` is as it was.
void write_output(const std::string &path, bool replace, const Fill &fill);

} // namespace xsgit::replay
