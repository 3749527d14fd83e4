// SPDX-License-Identifier: MIT
// Signals as something to wait for, so that what was made is removed whichever of them comes.
#pragma once

#include "server/daemon/unique_fd.hpp"

#include <csignal>
#include <optional>

namespace xsgit::bisect {

/// One at a time in a process, before any thread is started.
class Signals {
public:
    /// Holds back those that end programs by request (TERM, INT, HUP, QUIT), USR1, USR2 and CHLD. PIPE is ignored: a
    /// closed output is an error of writing.
    Signals();
    ~Signals(); // as it was before
    Signals(const Signals &) = delete;

    /// Readable when one waits.
    int fd() const noexcept { return fd_.get(); }
    struct Caught {
        int number;
        bool from_terminal; // then all processes of its foreground group got it
    };
    /// The next that waits; nullopt: none.
    std::optional<Caught> take();

    /// What a process started now should have blocked.
    const sigset_t &before() const noexcept { return before_; }
    /// And what it should not ignore, though we do.
    sigset_t defaults() const noexcept;

private:
    sigset_t before_{};
    struct sigaction child_before_ {};
    struct sigaction pipe_before_ {};
    server::UniqueFd fd_;
};

} // namespace xsgit::bisect
