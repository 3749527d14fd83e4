// SPDX-License-Identifier: MIT
// Looks at the refs ten times a second: as cheap as waiting, and works on clones and network file systems.
#include "inspect/follow.hpp"

#include "inspect/failure.hpp"

#include <algorithm>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xsgit::inspect {

namespace {

constexpr int kEveryMs = 100;
constexpr int kTolerated = 10; // looks in a row that fail: a second

/// False if nobody reads any more.
bool wait()
{
    pollfd out{STDOUT_FILENO, 0, 0};
    return poll(&out, 1, kEveryMs) <= 0 || !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/// Which directory stands at the path: a daemon may set a store aside and make a new one.
struct Place {
    explicit Place(const std::string &path)
    {
        struct stat s {};
        there = stat(path.c_str(), &s) == 0;
        device = s.st_dev;
        inode = s.st_ino;
    }
    bool there = false;
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const Place &, const Place &) = default;
};

/// Newest number on each branch becomes what was shown.
void advance(const RepositoryView &view, LogOptions &options)
{
    options.after_seq = std::max(options.after_seq, view.tip_seq());
    if (!view.conflicts().is_null())
        if (const auto c = view.repo().commit(view.conflicts()))
            options.after_conflict =
                std::max(options.after_conflict, parse_trailers(c->message).conflict_number);
}

} // namespace

void follow(Tool &tool, std::unique_ptr<RepositoryView> view, LogOptions options,
            const std::function<void(const RepositoryView &, TreeReader &, const LogEntry &)> &show)
{
    const std::string path = view->repo().git_dir();
    Place place(path);
    int failures = 0;
    bool again = false;
    for (;;) {
        flush();
        if (!wait())
            return;
        try {
            bool moved = view->refresh() || again;
            again = true; // unless all goes well
            if (const Place now(path); now != place) {
                if (!now.there)
                    continue; // between two stores
                view = RepositoryView::open(path);
                tool.note("the store was set aside and a new one begun");
                options.after_seq = options.after_conflict = 0;
                place = now;
                moved = true;
            }
            if (!moved) {
                again = false;
                continue;
            }
            TreeReader reader(view->repo());
            LogWalk walk(*view, reader, options, view->tip(), view->conflicts());
            std::vector<LogEntry> entries;
            while (auto e = walk.next())
                entries.push_back(std::move(*e));
            if (walk.lost_some())
                tool.note("some commits were pruned before they could be shown");
            for (auto e = entries.rbegin(); e != entries.rend(); ++e) {
                const LogRecord &r = e->record;
                if (r.kind == LogRecord::Kind::Conflict)
                    options.after_conflict = r.conflict;
                else if (r.seq != 0)
                    options.after_seq = r.seq;
                show(*view, reader, *e);
            }
            advance(*view, options);
            again = false;
            failures = 0;
        } catch (const OutputFailed &) {
            throw;
        } catch (const std::runtime_error &e) {
            // Epochs are dropped under our feet, a new store is not complete yet: the next look finds what is there
            // then. What lasts is worth a word.
            if (++failures == kTolerated)
                tool.note(e.what());
        }
    }
}

} // namespace xsgit::inspect
