// SPDX-License-Identifier: MIT
// One request for each operation that a commit names; its values come from the commit's tree.
#include "bisect/replay/history.hpp"

#include "bisect/replay/record_again.hpp"
#include "inspect/failure.hpp"
#include "inspect/log_walk.hpp"
#include "inspect/text.hpp"
#include "server/engine/facts.hpp"
#include "server/engine/state.hpp"
#include "server/engine/wire.hpp"

#include <charconv>
#include <fmt/core.h>
#include <map>

namespace xsgit::replay {

using inspect::LogEntry;
using inspect::LogRecord;
using inspect::ToolFailure;
using server::MsgType;

namespace {

/// The number that domains are given here: history does not have Xen's.
std::uint64_t assumed_id(std::uint32_t domid) { return domid + 0x10000u; }

/// 5 of "/local/domain/5".
std::uint32_t domain_of(std::string_view home)
{
    std::uint32_t domid = 0;
    home.remove_prefix(std::min(home.rfind('/') + 1, home.size()));
    std::from_chars(home.data(), home.data() + home.size(), domid);
    return domid;
}

class Composer {
public:
    explicit Composer(const inspect::RepositoryView &view) : reader_(view.repo()) {}

    Script compose(const Oid &root, std::vector<LogEntry> &newest_first)
    {
        script_.meta.source = "history";
        if (!newest_first.empty())
            script_.meta.start_us = static_cast<std::uint64_t>(newest_first.back().record.time_us);
        start(root);
        for (; !newest_first.empty(); newest_first.pop_back())
            entry(newest_first.back());
        return std::move(script_);
    }

private:
    void start(const Oid &root)
    {
        script_.start.emplace();
        inspect::diff_trees(reader_, Oid{}, root, {}, [&](const inspect::NodeChange &c) {
            script_.start->push_back({c.path, c.after->perms, c.after->value});
            return true;
        });
    }

    void entry(const LogEntry &e)
    {
        const auto since = e.record.time_us - static_cast<std::int64_t>(script_.meta.start_us);
        at_us_ = std::max(at_us_, since > 0 ? static_cast<std::uint64_t>(since) : 0);
        record_ = e.record.seq;
        if (!e.record.transaction) {
            operation(e.record, 0);
            return;
        }
        const std::size_t client = client_of(e.record);
        const std::uint32_t tx = e.record.tx.value_or(1);
        request(client, MsgType::TransactionStart, std::string(1, '\0'), 0);
        session::Message started;
        started.type = static_cast<std::uint32_t>(MsgType::TransactionStart);
        started.payload = std::to_string(tx) + '\0';
        script_.steps.back().reply = started; // so that the id means this one
        for (const LogRecord &step : e.steps)
            operation(step, tx, client);
        request(client, MsgType::TransactionEnd, std::string("T\0", 2), tx);
    }

    void operation(const LogRecord &r, std::uint32_t tx, std::optional<std::size_t> client = std::nullopt)
    {
        if (r.op == "write")
            request(client ? *client : client_of(r), MsgType::Write, r.path + '\0' + state(r).value, tx);
        else if (r.op == "mkdir")
            request(client ? *client : client_of(r), MsgType::Mkdir, r.path + '\0', tx);
        else if (r.op == "rm")
            request(client ? *client : client_of(r), MsgType::Rm, r.path + '\0', tx);
        else if (r.op == "set-perms")
            set_perms(client ? *client : client_of(r), r, tx);
        else if (r.op == "introduce")
            request(client_of(r), MsgType::Introduce, fmt::format("{0}{1}1{1}1{1}", domain_of(r.path), '\0'),
                    0);
        else if (r.op == "release" && r.conn)
            end_of_domain(r, [&] {
                request(client_of(r), MsgType::Release, fmt::format("{}{}", domain_of(r.path), '\0'), 0);
            });
        else if (r.op == "death" || r.op == "release")
            end_of_domain(r, [&] {
                const std::uint32_t domid = domain_of(r.path);
                add(0, session::Domains{fmt::format("{} {:x} dead", domid, assumed_id(domid))});
            });
        else if (r.op != "start")
            throw ToolFailure(inspect::kNoRevision, fmt::format("commit {} is not one that can be played: {}",
                                                                r.id.hex(), inspect::printable(r.subject)));
    }

    inspect::NodeState state(const LogRecord &r)
    {
        const auto node = reader_.find(r.tree, Path::trusted(r.path));
        if (!node)
            throw ToolFailure(inspect::kNoRevision,
                              fmt::format("commit {} does not have the node that it speaks of: {}",
                                          r.id.hex(), inspect::printable(r.path)));
        return reader_.state(*node);
    }

    /// The facts say which of the domains are there: an entry of one that is not was stored as stale.
    void set_perms(std::size_t client, const LogRecord &r, std::uint32_t tx)
    {
        const PermsRef perms = PermList::from_text(state(r).perms);
        std::string payload = r.path + '\0', facts;
        for (const Perm &p : perms->entries()) {
            payload += fmt::format("{}{}{}", access_letter(p.access), p.domid, '\0');
            if (p.domid != 0)
                server::add_fact(facts, {p.domid, !p.stale, p.stale ? 0 : assumed_id(p.domid)});
        }
        request(client, MsgType::SetPerms, std::move(payload), tx, std::move(facts));
    }

    /// The engine must know the domain, so that it can end.
    template <class How>
    void end_of_domain(const LogRecord &r, const How &how)
    {
        const std::uint32_t domid = domain_of(r.path);
        const std::size_t ring = ring_of(domid);
        how();
        add(ring, session::Closed{script_.clients[ring].conn});
        rings_.erase(domid);
    }

    std::size_t client_of(const LogRecord &r)
    {
        if (r.domid.value_or(0) != 0)
            return ring_of(*r.domid);
        const auto [at, fresh] = sockets_.try_emplace(r.conn.value_or(0), script_.clients.size());
        if (fresh) {
            session::Opened who;
            who.transport = session::Transport::Socket;
            who.domid = 0;
            who.comm = r.peer.substr(0, session::kWordsMax);
            open(who);
        }
        return at->second;
    }
    std::size_t ring_of(std::uint32_t domid)
    {
        const auto [at, fresh] = rings_.try_emplace(domid, script_.clients.size());
        if (fresh) {
            session::Opened who;
            who.transport = session::Transport::Ring;
            who.domid = domid;
            open(who);
        }
        return at->second;
    }
    void open(session::Opened who)
    {
        who.conn = script_.clients.size() + 1;
        script_.clients.push_back(who);
        add(script_.clients.size() - 1, who);
    }

    void request(std::size_t client, MsgType type, std::string payload, std::uint32_t tx,
                 std::string facts = {})
    {
        session::Request r;
        r.conn = script_.clients[client].conn;
        r.type = static_cast<std::uint32_t>(type);
        r.req_id = ++requests_;
        r.tx_id = tx;
        r.payload = std::move(payload);
        r.facts = std::move(facts);
        add(client, std::move(r));
    }
    template <class What>
    void add(std::size_t client, What what)
    {
        script_.steps.push_back({record_, at_us_, client, std::move(what), std::nullopt, {}});
    }

    inspect::TreeReader reader_;
    Script script_;
    std::uint64_t at_us_ = 0, record_ = 0;
    std::uint32_t requests_ = 0;
    std::map<std::uint64_t, std::size_t> sockets_; // by connection
    std::map<std::uint32_t, std::size_t> rings_;   // by domain
};

} // namespace

Script history_script(const inspect::RepositoryView &view, const Oid &from, const Oid &to)
{
    inspect::TreeReader reader(view.repo());
    inspect::LogOptions options;
    options.conflicts = false;
    const auto first = inspect::LogWalk(view, reader, options, Oid{}, Oid{}).entry(from);
    if (!first || first->record.seq == 0)
        throw ToolFailure(inspect::kNoRevision, "--from: this is no commit of the store's history");
    options.after_seq = first->record.seq;
    inspect::LogWalk walk(view, reader, options, to, Oid{});
    std::vector<LogEntry> entries;
    while (auto e = walk.next()) {
        entries.push_back(std::move(*e));
        if (entries.size() > kHistoryMost)
            throw ToolFailure(
                inspect::kUsage,
                fmt::format("more than {} commits: choose --from and --to closer", kHistoryMost));
    }
    if (walk.lost_some())
        throw ToolFailure(inspect::kPruned, "commits between --from and --to were pruned");
    if (entries.empty() && from != to)
        throw ToolFailure(inspect::kNoRevision, "--to is not later than --from");
    return Composer(view).compose(first->record.tree, entries);
}

std::string differing_node(const server::State &state, const inspect::RepositoryView &view, const Oid &commit)
{
    server::State wanted;
    wanted.load_tree(load_tree(view.repo(), view.repo().commit(commit).value().tree, 1));
    if (wanted.tree().equal(state.tree()))
        return {};
    return differing_line(state_text(wanted), state_text(state));
}

std::string differing_line(std::string_view wanted, std::string_view now)
{
    const auto next = [](std::string_view &rest) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        return line;
    };
    // Nodes end with a blank line; what follows speaks of connections.
    for (;;) {
        const std::string_view a = next(wanted), b = next(now);
        if (a != b)
            return fmt::format("the commit: {}\nnow:        {}", a, b);
        if (a.empty())
            return "in what the text of its nodes does not show";
    }
}

} // namespace xsgit::replay
