// SPDX-License-Identifier: MIT
// A repository as the tools see it: the store of a live or killed daemon, or a clone.
#pragma once

#include "xsgit/git/repository.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xsgit::inspect {

class RepositoryView {
public:
    /// Opens a bare repository or a clone and, beside a daemon's journal, folds what its history does not show yet.
    /// Throws ToolFailure.
    static std::unique_ptr<RepositoryView> open(const std::string &path);

    const Repository &repo() const noexcept { return *repo_; }
    const std::string &path() const noexcept { return path_; }

    /// Last commit of the store's history; null: there is none. Tail included.
    const Oid &tip() const noexcept { return tip_; }
    /// Its number; 0 if it is not ours.
    std::uint64_t tip_seq() const noexcept { return tip_seq_; }
    /// Last commit of the branch of refused transactions; null: none.
    const Oid &conflicts() const noexcept { return conflicts_; }
    /// Commits at the end that only the journal has.
    std::uint64_t unpublished() const noexcept { return unpublished_; }
    /// What went wrong without stopping us: lines for stderr.
    const std::vector<std::string> &notes() const noexcept { return notes_; }

    /// Looks at the branches again; true if they moved forward. Does not read the journal.
    bool refresh();

private:
    explicit RepositoryView(const std::string &path) : path_(path) {}
    Oid read_tip() const;
    Oid read_conflicts() const;
    void must_be_a_store() const;
    /// Number of a commit; 0 if it is not ours, nullopt if it cannot be read (yet).
    std::optional<std::uint64_t> seq_of(const Oid &commit) const;

    std::string path_;
    std::unique_ptr<Repository> repo_;
    Oid published_, tip_, conflicts_;
    std::uint64_t tip_seq_ = 0, unpublished_ = 0;
    std::vector<std::string> notes_;
};

} // namespace xsgit::inspect
