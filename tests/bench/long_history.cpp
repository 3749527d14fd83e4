// SPDX-License-Identifier: MIT
// Writes a store with a history of any length, as a daemon would have kept it: guests whose devices change their states
// all the time, and in commit #CULPRIT, which turns /culprit from "good" to "bad".
//   long_history DIR COMMITS CULPRIT     DIR is made: a bare repository; the culprit is a step of a transaction if COMMITS is odd
#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/pack_store.hpp"
#include "xsgit/git/repository.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>

namespace {

using namespace xsgit;
using server::MsgType;

constexpr unsigned kGuests = 20;
constexpr std::uint64_t kCommitsPerPack = 20'000;
constexpr std::int64_t kFirstUs = 1'700'000'000'000'000;

class History {
public:
    explicit History(const std::string &path)
        : path_(path), writer_((Repository::create(path), Tips{}), Tree(), 1), packs_(path + "/objects", {0}),
          state_(&writer_)
    {
        run(EventKind::Start, 0, {}, {});
        run(EventKind::Connect, 1, "socket 0 77 0 long-history", {});
    }

    std::uint64_t seq() const { return state_.seq(); }

    void write(const std::string &node, const std::string &value, std::uint32_t tx = 0)
    {
        ask(MsgType::Write, node + '\0' + value, tx);
        if (state_.seq() % kCommitsPerPack == 0)
            flush();
    }
    /// A transaction of three writes, the middle one `node`.
    void write_in_transaction(const std::string &node, const std::string &value)
    {
        ask(MsgType::TransactionStart, std::string(1, '\0'), 0);
        const std::uint32_t tx = ++transactions_;
        write("/before", "x", tx);
        write(node, value, tx);
        write("/behind", "x", tx);
        ask(MsgType::TransactionEnd, std::string("T\0", 2), tx);
    }
    void finish()
    {
        flush();
        const auto repo = Repository::open(path_);
        repo->write_ref("refs/heads/main", writer_.tips().main);
    }

private:
    void flush()
    {
        if (!writer_.pack().empty())
            packs_.add(writer_.pack().finish(), 1);
    }
    void ask(MsgType type, const std::string &payload, std::uint32_t tx)
    {
        std::string wire(kHeaderSize, '\0');
        server::write_header(
            {static_cast<std::uint32_t>(type), 0, tx, static_cast<std::uint32_t>(payload.size())},
            wire.data());
        run(EventKind::Request, 1, {}, wire + payload);
    }
    void run(EventKind kind, std::uint64_t conn, std::string_view facts, const std::string &wire)
    {
        Event e;
        e.kind = kind;
        e.number = state_.event_number() + 1;
        e.wall_us = kFirstUs + static_cast<std::int64_t>(e.number) * 1000;
        e.conn = conn;
        e.request = e.number;
        e.facts = facts;
        e.wire = wire;
        out_.clear();
        state_.step(e, out_);
    }

    std::string path_;
    HistoryWriter writer_;
    PackStore packs_;
    server::State state_;
    server::Outputs out_;
    std::uint32_t transactions_ = 0;
};

void make(const std::string &path, std::uint64_t commits, std::uint64_t culprit)
{
    History h(path);
    std::mt19937 random(7);
    h.write("/culprit", "good"); // #2
    while (h.seq() < commits) {
        if (h.seq() + 1 == culprit) {
            if (commits % 2 == 1)
                h.write_in_transaction("/culprit", "bad");
            else
                h.write("/culprit", "bad");
            continue;
        }
        const std::string guest = std::to_string(random() % kGuests + 1);
        h.write("/local/domain/" + guest + "/device/vif/0/state", std::to_string(h.seq() % 6 + 1));
    }
    h.finish();
}

} // namespace

int main(int argc, char **argv)
{
    const std::uint64_t commits = argc == 4 ? std::strtoull(argv[2], nullptr, 10) : 0;
    const std::uint64_t culprit = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : 0;
    if (culprit < 3 || culprit > commits) {
        std::fputs("usage: long_history DIR COMMITS CULPRIT (from 3 to COMMITS)\n", stderr);
        return 2;
    }
    try {
        make(argv[1], commits, culprit);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "long_history: %s\n", e.what());
        return 1;
    }
    return 0;
}
