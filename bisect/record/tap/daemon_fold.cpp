// SPDX-License-Identifier: MIT
// The daemon's own recovery, and then its journal.
#include "bisect/record/tap/daemon_fold.hpp"

#include "inspect/failure.hpp"
#include "server/store/recovery.hpp"
#include "xsgit/git/repository.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fmt/core.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace xsgit::record {

using inspect::kNoRepository, inspect::ToolFailure;

namespace {

// A live daemon makes checkpoints and frees its journal while we read, or is being started.
constexpr int kTries = 50;
constexpr std::chrono::milliseconds kBetweenTries{100};

/// Nobody here sends anything.
server::OutputName all_sent(std::uint64_t) { return {~std::uint64_t{0}, 0}; }

/// The repository itself, where `path` may be a working tree or its .git. Throws ToolFailure.
std::string store_at(const std::string &path)
{
    if (::access(path.c_str(), R_OK | X_OK) != 0 && errno == EACCES)
        throw ToolFailure(kNoRepository,
                          fmt::format("{} may not be read: permission denied; it belongs to another user "
                                      "(root, for a Xen host): run this as that one.",
                                      path));
    std::string dir;
    try {
        dir = Repository::open(path)->git_dir();
    } catch (const GitError &e) {
        throw ToolFailure(kNoRepository, std::string(e.what()) +
                                             "\nName the daemon's repository with --repo or in XS_REPO.");
    }
    const server::StatePaths paths(dir);
    // A daemon that begins just now will make it.
    const bool begins = ::access(paths.journal.c_str(), F_OK) != 0 && ::access(paths.dir.c_str(), X_OK) == 0;
    if (!begins && ::access(paths.journal.c_str(), R_OK) != 0)
        throw ToolFailure(
            kNoRepository,
            fmt::format("{} has no journal that can be read: it is not a daemon's repository but "
                        "a copy, or belongs to another user",
                        dir));
    return dir;
}

} // namespace

DaemonFold::DaemonFold(const std::string &path) : paths_(store_at(path)), store_(id_of(paths_.dir))
{
    reload();
}

DaemonFold::FileId DaemonFold::id_of(const std::string &path) noexcept
{
    struct stat s {};
    return ::stat(path.c_str(), &s) == 0 ? FileId{s.st_dev, s.st_ino} : FileId{};
}

/// Why it failed; empty: it did not.
std::string DaemonFold::try_load()
{
    std::string trouble;
    try {
        const FileId id = id_of(paths_.journal);
        auto journal = Journal::open(paths_.journal, true);
        if (id != id_of(paths_.journal))
            return "the journal was replaced just now";
        const auto repo = Repository::open(paths_.repo);
        const auto report = [&](const std::string &text) { trouble += (trouble.empty() ? "" : "; ") + text; };
        auto r = server::recover(paths_, *repo, *journal, nullptr, {}, report, all_sent);
        if (!r)
            return trouble.empty() ? "the journal and the checkpoint do not fit together" : trouble;
        state_ = std::move(r->state);
        at_ = r->end;
        journal_ = std::move(journal);
        journal_id_ = id;
        return {};
    } catch (const std::runtime_error &e) {
        return e.what();
    }
}

std::uint64_t DaemonFold::reload()
{
    const std::uint64_t last = state_.event_number();
    std::string trouble;
    for (int i = 0; i < kTries; ++i) {
        if (i > 0)
            std::this_thread::sleep_for(kBetweenTries);
        trouble = try_load();
        if (trouble.empty())
            return state_.event_number() - std::min(last, state_.event_number());
        if (look() == Place::StoreGone)
            throw ToolFailure(kNoRepository, "the store in " + paths_.repo + " was set aside or removed");
    }
    throw ToolFailure(kNoRepository, "the state in " + paths_.dir + " cannot be read: " + trouble);
}

bool DaemonFold::step(const Event &e, server::Outputs &out)
{
    out.clear();
    state_.step(e, out);
    return out.hash() == e.outputs_hash;
}

std::optional<std::int64_t> DaemonFold::fresh_since() const
{
    if (state_.seq() != 1 || state_.conflicts() != 0)
        return std::nullopt;
    try {
        Journal::Position first = journal_->tail();
        const auto e = first.number == 1 ? journal_->next(first) : std::nullopt;
        return e ? std::optional(e->wall_us) : std::nullopt;
    } catch (const JournalDamaged &) {
        return std::nullopt; // it was freed just now
    }
}

DaemonFold::Place DaemonFold::look() const noexcept
{
    if (id_of(paths_.dir) != store_)
        return Place::StoreGone;
    return id_of(paths_.journal) == journal_id_ ? Place::Same : Place::JournalMoved;
}

} // namespace xsgit::record
