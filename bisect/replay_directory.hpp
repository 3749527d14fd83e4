// SPDX-License-Identifier: MIT
// Where --fails-if finds its files; a program that is asked to end takes it along.
#pragma once

#include <string>

namespace xsgit::replay {

/// A directory below $TMPDIR, else /tmp, which only its owner can enter. It is removed, with the files "session" and "state"
/// in it, when this ends, or when INT, TERM, HUP or QUIT end the process. One at a time in a process, without other threads.
class ReplayDirectory {
public:
    /// Throws inspect::ToolFailure.
    ReplayDirectory();
    ~ReplayDirectory();
    ReplayDirectory(const ReplayDirectory &) = delete;

    const std::string &path() const noexcept { return path_; }

private:
    std::string path_;
};

} // namespace xsgit::replay
