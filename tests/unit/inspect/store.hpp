// SPDX-License-Identifier: MIT
// A store without a daemon: an engine whose history is written to a repository in a temporary directory, and whose
// events stand in a journal, so that what is not published can be found there.
#pragma once

#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"
#include "server/store/checkpoint.hpp"
#include "server/store/state_dir.hpp"
#include "xsgit/git/history_writer.hpp"
#include "xsgit/git/pack_store.hpp"
#include "xsgit/git/repository.hpp"
#include "xsgit/journal/journal.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace xsgit::inspect::test {

using server::MsgType;

inline constexpr std::int64_t kFirstUs = 1'700'000'000'000'000; // Tue 2023-11-14 22:13:20 UTC

class TestStore {
public:
    TestStore()
        : dir(make_directory()), path(dir + "/store.git"),
          writer((Repository::create(path), Tips{}), Tree(), 1), packs(path + "/objects", {1u << 30}),
          state(&writer)
    {
        std::filesystem::create_directory(path + "/xsgit");
        journal = Journal::create(path + "/xsgit/journal", 1u << 20);
        Event e;
        e.kind = EventKind::Start;
        run(e);
    }
    ~TestStore() { std::filesystem::remove_all(dir); }
    TestStore(const TestStore &) = delete;

    std::uint64_t connect(std::uint32_t domid = 0)
    {
        const std::string facts = domid == 0 ? "socket 0 77 0 test" : "ring " + std::to_string(domid);
        Event e;
        e.kind = EventKind::Connect;
        e.conn = state.next_connection();
        e.facts = facts;
        run(e);
        return e.conn;
    }
    /// The reply without a final NUL.
    std::string ask(std::uint64_t conn, MsgType type, std::string_view payload, std::uint32_t tx = 0,
                    std::string_view facts = "5 1;7 1;9 0")
    {
        std::string wire(kHeaderSize, '\0');
        server::write_header(
            {static_cast<std::uint32_t>(type), 9, tx, static_cast<std::uint32_t>(payload.size())},
            wire.data());
        wire.append(payload);
        Event e;
        e.kind = EventKind::Request;
        e.conn = conn;
        e.request = ++requests_;
        e.wire = wire;
        e.facts = facts;
        run(e);
        std::string reply;
        for (const server::Output &o : out_.items()) {
            const std::string_view bytes = out_.bytes(o);
            if (server::read_header(bytes.data()).type != static_cast<std::uint32_t>(MsgType::WatchEvent))
                reply = bytes.substr(kHeaderSize);
        }
        while (reply.ends_with('\0'))
            reply.pop_back();
        return reply;
    }
    std::string write(std::uint64_t conn, const std::string &node, std::string_view value,
                      std::uint32_t tx = 0)
    {
        return ask(conn, MsgType::Write, node + '\0' + std::string(value), tx);
    }
    std::string mkdir(std::uint64_t conn, const std::string &node, std::uint32_t tx = 0)
    {
        return ask(conn, MsgType::Mkdir, node + '\0', tx);
    }
    std::string rm(std::uint64_t conn, const std::string &node, std::uint32_t tx = 0)
    {
        return ask(conn, MsgType::Rm, node + '\0', tx);
    }
    std::string read(std::uint64_t conn, const std::string &node, std::uint32_t tx = 0)
    {
        return ask(conn, MsgType::Read, node + '\0', tx);
    }
    /// perms: "n0", "r5", each followed by a NUL.
    std::string set_perms(std::uint64_t conn, const std::string &node,
                          std::initializer_list<std::string_view> perms)
    {
        std::string payload = node + '\0';
        for (const auto p : perms)
            payload.append(p).push_back('\0');
        return ask(conn, MsgType::SetPerms, payload);
    }
    std::uint32_t begin(std::uint64_t conn)
    {
        return static_cast<std::uint32_t>(
            std::stoul(ask(conn, MsgType::TransactionStart, std::string_view("\0", 1))));
    }
    std::string commit(std::uint64_t conn, std::uint32_t tx)
    {
        return ask(conn, MsgType::TransactionEnd, std::string_view("T\0", 2), tx);
    }

    /// What the daemon's history writer does every 50 ms.
    void publish()
    {
        if (!writer.pack().empty())
            packs.add(writer.pack().finish(), 1);
        const auto repo = Repository::open(path);
        const Tips &t = writer.tips();
        repo->write_ref("refs/xsgit/head", t.main);
        if (!t.conflicts.is_null())
            repo->write_ref("refs/heads/conflicts", t.conflicts);
        repo->write_ref("refs/heads/main", t.main);
    }
    /// What is published must come first.
    void checkpoint()
    {
        server::replace_file(path + "/xsgit/checkpoint", server::write_checkpoint(state, writer, {}));
    }
    Oid tree() const { return writer.tips().main_tree; }

    const std::string dir, path;
    HistoryWriter writer;
    PackStore packs;
    server::State state;
    std::unique_ptr<Journal> journal;

private:
    static std::string make_directory()
    {
        std::string name = (std::filesystem::temp_directory_path() / "xsgit-inspect-XXXXXX").string();
        if (!mkdtemp(name.data()))
            throw std::runtime_error("no temporary directory");
        return name;
    }
    void run(Event &e)
    {
        out_.clear();
        e.number = state.event_number() + 1;
        e.wall_us = kFirstUs + static_cast<std::int64_t>(e.number) * 1'000'000;
        state.step(e, out_);
        e.outputs_hash = out_.hash();
        if (!journal->append(e))
            throw std::runtime_error("the journal is full");
    }
    server::Outputs out_;
    std::uint64_t requests_ = 0;
};

} // namespace xsgit::inspect::test
