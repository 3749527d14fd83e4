// SPDX-License-Identifier: MIT
#include "server/store/recovery.hpp"

#include "server/store/whole_files.hpp"
#include "xsgit/base/crash_point.hpp"

#include <algorithm>
#include <vector>

namespace xsgit::server {
namespace {

/// The place in the journal of the event after `number`; nullopt if it is not there.
std::optional<Journal::Position> place_after(const Journal &journal, std::uint64_t number)
{
    Journal::Position p = journal.tail();
    while (p.number <= number)
        if (!journal.next(p))
            return std::nullopt;
    if (p.number != number + 1)
        return std::nullopt;
    return p;
}

void fold(Recovered &r, const Journal &journal, const SentUpTo &sent)
{
    r.end = r.from;
    Outputs out;
    while (const auto e = journal.next(r.end)) {
        out.clear();
        r.state.step(*e, out);
        if (e->kind == EventKind::Close)
            r.unsent.forget(e->conn);
        r.unsent.add(e->number, out, sent);
    }
}

} // namespace

std::vector<KeptCheckpoint> kept_checkpoints(const StatePaths &paths)
{
    std::vector<KeptCheckpoint> found;
    for (const std::string &file : {paths.checkpoint, paths.checkpoint_old})
        if (std::string data = read_file(file); !data.empty()) {
            const std::uint64_t event = checkpoint_event(data).value_or(0);
            found.push_back({event, file, std::move(data)});
        }
    for (const std::string &file : {paths.whole_1, paths.whole_2})
        if (std::string data = WholeFiles::read(file); !data.empty())
            found.push_back({WholeFiles::event_of(file), file, std::move(data)});
    std::stable_sort(found.begin(), found.end(),
                     [](const KeptCheckpoint &a, const KeptCheckpoint &b) { return a.event > b.event; });
    return found;
}

std::optional<Recovered> recover(const StatePaths &paths, const Repository &repo, const Journal &journal,
                                 ChangeSink *sink,
                                 const std::function<void(const CheckpointHead &, const State &)> &begin,
                                 const std::function<void(const std::string &)> &report, const SentUpTo &sent)
{
    for (const KeptCheckpoint &c : kept_checkpoints(paths)) {
        const std::string &file = c.file, &data = c.data;
        try {
            LoadedCheckpoint l = load_checkpoint(data, repo, sink);
            const auto from = place_after(journal, l.state.event_number());
            if (!from) {
                report(file + ": the journal does not continue it");
                continue;
            }
            Recovered r{std::move(l.state), std::move(l.unsent), data, l.head, *from, *from};
            if (begin)
                begin(r.head, r.state);
            XSGIT_CRASH_POINT("recover.loaded");
            fold(r, journal, sent);
            return r;
        } catch (const std::runtime_error &e) {
            report(file + ": " + e.what());
        }
    }
    if (journal.tail().number != 1 || journal.head().number == 1)
        return std::nullopt;
    try {
        Recovered r{State(sink), {}, {}, {}, journal.tail(), journal.tail()};
        if (begin)
            begin(r.head, r.state);
        XSGIT_CRASH_POINT("recover.loaded");
        fold(r, journal, sent);
        return r;
    } catch (const std::runtime_error &e) {
        report(paths.journal + ": " + e.what());
    }
    return std::nullopt;
}

} // namespace xsgit::server
