// SPDX-License-Identifier: MIT
// The daemon's refs: refs/heads/main, refs/heads/conflicts and refs/xsgit/head, which is always the newest commit on
// main and moves first. Nothing of anybody's stands in their way for good, and what somebody moved is put back.
#pragma once

#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/repository.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace xsgit::server {

class HistoryRefs {
public:
    using Report = std::function<void(const std::string &)>;

    /// `repo` is borrowed. `tips`: where history stands that is about to be continued; refs on disk may be further.
    HistoryRefs(Repository &repo, std::string path, const Tips &tips, Report report);

    /// What history has on disk, by head and conflicts; of a head that is no commit of ours on main nothing.
    Tips on_disk() const;
    /// In the order that keeps everything reachable at each step; main last. Throws GitError: some may have moved.
    void move_to(const Tips &tips);
    /// After move_to() has failed. Removes what can stand in the way: locks of a git that has died, files that are no
    /// refs, and directories of somebody's refs, which are kept under refs/heads/aside-….
    void clear_way();
    /// The journal has lost what came behind commit `seq`, and main has some of it: keeps it under refs/heads/rescued.
    void rescue_main(std::uint64_t seq);
    /// Deletes refs of others that lead into history before commit `seq`, which is about to go, or to nothing: with
    /// them nobody could clone what stays. Refs to trees, blobs and commits of somebody's own stay. O(refs).
    void drop_before(std::uint64_t seq);

private:
    std::optional<Oid> read(const std::string &ref) const;
    Oid last_seen_main(const Oid &head) const;
    void put_back(const std::string &ref, const Oid &ours, const Oid &last);
    std::string rescue(const std::string &ref, const Oid &theirs);

    Repository &repo_;
    std::string path_;
    Report report_;
    Tips published_;
};

} // namespace xsgit::server
