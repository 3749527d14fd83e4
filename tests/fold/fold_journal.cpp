// SPDX-License-Identifier: MIT
// Folds a journal that still has its first event, as the committer does, and prints what
// came out: "events N outputs HASH commit ID tree ID conflicts N". Two processes, or two builds, must agree;
// and the commit must be the one that the daemon published. Exit 1 when an output hash
// recorded in the journal is not met.
#include "server/engine/state.hpp"
#include "xsgit/git/history_writer.hpp"
#include "xsgit/journal/journal.hpp"

#include <cstdio>
#include <exception>
#include <memory>

namespace {

/// Hands history to the writer and throws the packed objects away.
class Fold final : public xsgit::ChangeSink {
public:
    void on_change(const xsgit::Change &c) override { writer_.on_change(c); }
    void on_conflict(const xsgit::Conflict &c) override { writer_.on_conflict(c); }
    void on_epoch(const xsgit::NewEpoch &epoch, const xsgit::Tree &head) override
    {
        writer_.pack().finish();
        writer_.on_epoch(epoch, head);
    }
    const xsgit::Tips &tips() const { return writer_.tips(); }

private:
    xsgit::HistoryWriter writer_{xsgit::Tips{}, xsgit::Tree(), 1};
};

int fold(const char *path)
{
    const auto journal = xsgit::Journal::open(path, true);
    Fold sink;
    xsgit::server::State state(&sink);
    xsgit::server::Outputs out;
    std::uint64_t all = 0, differing = 0;
    xsgit::Journal::Position at = journal->tail();
    if (at.number != 1) {
        std::fprintf(stderr, "%s: its first events are gone (the oldest is %llu)\n", path,
                     static_cast<unsigned long long>(at.number));
        return 2;
    }
    while (const auto e = journal->next(at)) {
        out.clear();
        state.step(*e, out);
        const std::uint64_t hash = out.hash();
        differing += hash != e->outputs_hash;
        all = all * 0x9e3779b97f4a7c15u + hash;
    }
    std::printf("events %llu outputs %016llx commit %s tree %s conflicts %llu\n",
                static_cast<unsigned long long>(state.event_number()), static_cast<unsigned long long>(all),
                sink.tips().main.hex().c_str(), sink.tips().main_tree.hex().c_str(),
                static_cast<unsigned long long>(state.conflicts()));
    if (differing)
        std::fprintf(stderr, "%llu events answered otherwise than recorded\n",
                     static_cast<unsigned long long>(differing));
    return differing ? 1 : 0;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: fold_journal JOURNAL\n");
        return 2;
    }
    try {
        return fold(argv[1]);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "fold_journal: %s\n", e.what());
        return 2;
    }
}
