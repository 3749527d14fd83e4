// SPDX-License-Identifier: MIT
// The daemon's recovery with a history writer as its audience.
#include "inspect/tail.hpp"

#include "inspect/failure.hpp"
#include "server/store/recovery.hpp"

#include <algorithm>
#include <unistd.h>

namespace xsgit::inspect {

namespace {

/// Nobody here sends anything.
server::OutputName all_sent(std::uint64_t) { return {~std::uint64_t{0}, 0}; }

constexpr int kTries = 3; // a live daemon frees its journal while we read

/// Thrown out of the fold, through code that catches only runtime errors.
struct Enough {};

/// The writer exists only from the moment when the checkpoint is known. Leaves when it has heard what was there in the
/// beginning: the journal of a busy daemon may grow as fast as we read.
class Sink final : public ChangeSink {
public:
    explicit Sink(std::uint64_t end) : end_(end) {}

    void begin(const server::CheckpointHead &head, const server::State &state, const Repository &repo)
    {
        writer = server::continue_history(head, state, &repo);
        wanted_ = end_ - std::min(end_, state.event_number());
    }
    void on_change(const Change &c) override
    {
        count();
        writer->on_change(c);
    }
    void on_conflict(const Conflict &c) override
    {
        count();
        writer->on_conflict(c);
    }
    void on_epoch(const NewEpoch &e, const Tree &head) override { writer->on_epoch(e, head); }

    std::unique_ptr<HistoryWriter> writer;

private:
    /// An event makes one commit at most.
    void count()
    {
        if (wanted_-- == 0)
            throw Enough();
    }
    std::uint64_t end_, wanted_ = 0;
};

bool readable(const std::string &file) { return access(file.c_str(), R_OK) == 0; }

/// Whether the newest checkpoint already has all events: the usual case, and cheap to see.
bool nothing_new(const server::StatePaths &paths, const Journal &journal)
{
    const auto event = server::checkpoint_event(server::read_file(paths.checkpoint));
    return event && *event + 1 == journal.head().number;
}

} // namespace

std::optional<Tips> read_tail(Repository &repo, const Report &report)
{
    const server::StatePaths paths(repo.git_dir());
    if (!readable(paths.journal))
        return std::nullopt;
    std::string trouble;
    for (int i = 0; i < kTries; ++i) {
        trouble.clear();
        try {
            const auto journal = Journal::open(paths.journal, true);
            if (nothing_new(paths, *journal))
                return std::nullopt;
            repo.refresh(); // the checkpoint may be newer than what we know of
            Sink sink(journal->head().number);
            try {
                const auto begin = [&](const server::CheckpointHead &head, const server::State &state) {
                    sink.begin(head, state, repo);
                };
                const auto complain = [&](const std::string &text) {
                    trouble += (trouble.empty() ? "" : "; ") + text;
                };
                if (!server::recover(paths, repo, *journal, &sink, begin, complain, all_sent))
                    continue;
            } catch (const Enough &) {
            }
            repo.add_memory(sink.writer->pack());
            return sink.writer->tips();
        } catch (const std::runtime_error &e) {
            trouble = e.what();
        }
    }
    report("events that are not yet in the history cannot be shown: " +
           (trouble.empty() ? "the journal and the checkpoint do not fit together" : trouble));
    return std::nullopt;
}

std::string describe_state(const Repository &repo)
{
    const server::StatePaths paths(repo.git_dir());
    if (!readable(paths.journal))
        throw ToolFailure(kNoRepository, repo.git_dir() +
                                             " has no state beside its history: it is not a daemon's "
                                             "repository but a copy, or belongs to another user");
    std::string trouble;
    for (int i = 0; i < kTries; ++i) {
        trouble.clear();
        try {
            const auto journal = Journal::open(paths.journal, true);
            const auto complain = [&](const std::string &text) {
                trouble += (trouble.empty() ? "" : "; ") + text;
            };
            const auto r = server::recover(paths, repo, *journal, nullptr, {}, complain, all_sent);
            if (r)
                return r->state.describe();
        } catch (const std::runtime_error &e) {
            trouble = e.what();
        }
    }
    throw ToolFailure(kNoRepository,
                      "the state in " + paths.dir + " cannot be read: " +
                          (trouble.empty() ? "the journal and the checkpoint do not fit together" : trouble));
}

} // namespace xsgit::inspect
