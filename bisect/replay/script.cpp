// SPDX-License-Identifier: MIT
// Records put together: which reply belongs to which request, who waited for what.
#include "bisect/replay/script.hpp"

#include "bisect/replay/runner.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/session/text.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <map>

namespace xsgit::replay {

using namespace session;

namespace {

/// Requests of a connection among which a reply's is looked for.
constexpr std::size_t kLookAhead = 1024;

/// Of bookkeeping, for each client.
constexpr std::size_t kClientBytes = 256;

constexpr std::string_view kNotThere("ENOENT", 7); // with its NUL

using server::MsgType;
bool is(const Message &m, MsgType type) { return m.type == static_cast<std::uint32_t>(type); }

/// What a record takes in a script: structures, and texts as often as they are kept.
std::size_t memory_of(const Body &body)
{
    if (const auto *request = std::get_if<Request>(&body))
        return sizeof(Step) + 2 * sizeof(std::uint64_t) + request->payload.size() + request->facts.size();
    if (const auto *reply = std::get_if<Reply>(&body)) // at its step, and in the order of messages
        return sizeof(Received) + sizeof(std::uint64_t) + 2 * reply->payload.size();
    if (const auto *event = std::get_if<session::Event>(&body))
        return sizeof(Received) + sizeof(std::uint64_t) + event->payload.size();
    if (const auto *node = std::get_if<session::Node>(&body))
        return sizeof(session::Node) + node->path.size() + node->perms.size() + node->value.size();
    if (const auto *watch = std::get_if<Watch>(&body))
        return sizeof(Watch) + watch->path.size() + watch->token.size();
    if (const auto *opened = std::get_if<Opened>(&body)) // a step, a client, and what is known of its process
        return sizeof(Step) + sizeof(Opened) + sizeof(ProcessReplies) + kClientBytes +
               2 * opened->comm.size();
    if (const auto *domains = std::get_if<Domains>(&body))
        return sizeof(Step) + domains->news.size();
    return std::holds_alternative<Closed>(body) ? sizeof(Step) : 0;
}

} // namespace

std::size_t Script::requests() const noexcept
{
    return static_cast<std::size_t>(
        std::count_if(steps.begin(), steps.end(), [](const Step &s) { return s.request() != nullptr; }));
}

/// The reader has checked that it is open.
ScriptBuilder::Open &ScriptBuilder::open(std::uint64_t conn)
{
    return std::lower_bound(open_.begin(), open_.end(), conn,
                            [](const auto &o, auto id) { return o.first < id; })
        ->second;
}

ProcessReplies *ScriptBuilder::process(std::size_t client)
{
    const std::optional<std::uint32_t> pid = script_.clients[client].pid;
    return pid ? &processes_[*pid] : nullptr;
}

void ScriptBuilder::request(const Record &r, std::uint64_t number)
{
    Step step{number, r.at_us, 0, std::get<Request>(r.body), std::nullopt, {}};
    Open &mine = open(step.request()->conn);
    step.client = mine.client;
    Sent sent{script_.steps.size(), 0};
    if (const ProcessReplies *replies = process(mine.client)) {
        // What it knew at its last request, that one has waited for.
        step.after = replies->since(mine.unanswered.empty() ? 0 : mine.unanswered.back().moment, mine.client);
        sent.moment = replies->now();
        memory_ += step.after.size() * sizeof(std::size_t);
    }
    mine.unanswered.push_back(sent);
    script_.steps.push_back(std::move(step));
}

void ScriptBuilder::add(const Record &r, std::uint64_t number)
{
    memory_ += memory_of(r.body);
    if (const auto *meta = std::get_if<Meta>(&r.body)) {
        script_.meta = *meta;
    } else if (const auto *opened = std::get_if<Opened>(&r.body)) {
        const auto at = std::lower_bound(open_.begin(), open_.end(), opened->conn,
                                         [](const auto &o, auto id) { return o.first < id; });
        open_.insert(at, {opened->conn, Open{script_.clients.size(), {}, 0}});
        script_.steps.push_back({number, r.at_us, script_.clients.size(), *opened, std::nullopt, {}});
        script_.clients.push_back(*opened);
    } else if (const auto *closed = std::get_if<Closed>(&r.body)) {
        script_.steps.push_back({number, r.at_us, open(closed->conn).client, *closed, std::nullopt, {}});
        std::erase_if(open_, [&](const auto &o) { return o.first == closed->conn; });
    } else if (std::holds_alternative<Request>(r.body)) {
        request(r, number);
    } else if (const auto *reply = std::get_if<Reply>(&r.body)) {
        Open &o = open(reply->conn);
        // Replies come in the order of the requests, but a recorder may have missed some.
        const auto end = std::min(o.unanswered.size(), o.next_unanswered + kLookAhead);
        std::size_t at = o.next_unanswered;
        while (at < end && script_.steps[o.unanswered[at].step].request()->req_id != reply->req_id)
            ++at;
        if (at == end)
            return; // of a request before the session
        o.next_unanswered = at + 1;
        const Sent &sent = o.unanswered[at];
        if (ProcessReplies *replies = process(o.client))
            replies->answered(o.client, sent.step, sent.moment);
        answered(o, script_.steps[sent.step], *reply, number);
    } else if (const auto *event = std::get_if<session::Event>(&r.body)) {
        script_.received.push_back({open(event->conn).client, true, false, *event});
        script_.received_records.push_back(number);
    } else if (const auto *domains = std::get_if<Domains>(&r.body)) {
        script_.steps.push_back({number, r.at_us, 0, *domains, std::nullopt, {}});
    } else if (const auto *start = std::get_if<Start>(&r.body)) {
        if (start->known)
            script_.start.emplace();
    } else if (const auto *node = std::get_if<session::Node>(&r.body)) {
        script_.start->push_back(*node);
    } else if (const auto *watch = std::get_if<Watch>(&r.body)) {
        for (const Step &step : script_.steps)
            if (!std::holds_alternative<Opened>(step.what) || !std::get<Opened>(step.what).before)
                throw NotPlayable(fmt::format(
                    "record {}: a watch of the starting state stands behind the first step", number));
        script_.watches.push_back(*watch);
        script_.watches.back().conn = open(watch->conn).client;
    } else if (std::holds_alternative<Dropped>(r.body)) {
        lose_the_rest();
    }
}

void ScriptBuilder::lose_the_rest()
{
    if (!dropped_)
        script_.known_until = script_.received.size();
    dropped_ = true;
}

/// In a transaction that was open when the session began: what had been done in it is not known.
bool ScriptBuilder::began_before(const Open &o, const Step &step) const
{
    const Request &r = *step.request();
    return script_.clients[o.client].before && r.tx_id != 0 && !is(r, MsgType::Watch) &&
           !is(r, MsgType::Unwatch) && !o.transactions.contains(r.tx_id);
}

void ScriptBuilder::answered(Open &o, Step &step, const Reply &reply, std::uint64_t number)
{
    const Request &r = *step.request();
    const bool end = is(r, MsgType::TransactionEnd), error = is(reply, MsgType::Error);
    // What is not there is answered so when it is played, too.
    if (began_before(o, step) && !(error && reply.payload == kNotThere)) {
        if (end && !error && r.payload.starts_with('T'))
            lose_the_rest(); // nobody knows what it has changed
        return;
    }
    if (const std::uint32_t id = started_transaction(reply))
        o.transactions.insert(id);
    if (end)
        o.transactions.erase(r.tx_id);
    step.reply = reply;
    script_.received.push_back({o.client, false, false, reply});
    script_.received_records.push_back(number);
}

Script ScriptBuilder::finish() &&
{
    if (!dropped_)
        script_.known_until = script_.received.size();
    script_.complete = !dropped_;
    return std::move(script_);
}

Script subset(const Script &s, const std::vector<bool> &keep)
{
    std::vector<bool> used(s.clients.size());
    for (std::size_t i = 0; i < s.steps.size(); ++i)
        if (keep[i] && s.steps[i].request())
            used[s.steps[i].client] = true;
    Script out;
    out.meta = s.meta;
    out.start = s.start;
    out.clients = s.clients;
    for (const Watch &w : s.watches)
        if (used[w.conn])
            out.watches.push_back(w);
    for (std::size_t i = 0; i < s.steps.size(); ++i) {
        const Step &step = s.steps[i];
        const bool of_client = !std::holds_alternative<Domains>(step.what);
        if (step.request() || !of_client ? !keep[i] : !used[step.client])
            continue;
        out.steps.push_back({step.record, step.at_us, step.client, step.what, step.reply, {}});
    }
    return out;
}

Tree start_tree(const std::vector<session::Node> &nodes)
{
    Tree tree;
    for (const session::Node &n : nodes) {
        const auto path = Path::parse(n.path, 0, true);
        const PermsRef perms = PermList::from_text(n.perms);
        const std::string what = fmt::format("node {} of the starting state", escape(n.path, 80));
        if (!path || n.path.empty() || (n.path[0] != '/' && n.path[0] != '@'))
            throw NotPlayable(what + ": this is no path");
        if (!perms)
            throw NotPlayable(fmt::format("{}: these are no permissions: {}", what, escape(n.perms, 80)));
        if (path->is_root() != tree.empty())
            throw NotPlayable(what + ": the root must come first, and once");
        if (path->is_root())
            tree = Tree::with_root(perms);
        else if (!path->is_special() && !tree.find(path->parent()))
            throw NotPlayable(what + ": its parent is missing");
        else if (tree.find(*path))
            throw NotPlayable(what + ": it is there twice");
        if (path->is_root())
            tree = Tree(tree.root()->with_value(Bytes::make(n.value)), tree.special());
        else
            tree = std::move(tree).put(*path, xsgit::Node::make(path->name(), Bytes::make(n.value), perms));
    }
    if (tree.empty())
        throw NotPlayable("the starting state has no root");
    return tree;
}

std::string received_text(const Received &r)
{
    if (r.closed)
        return "(the connection was closed)";
    return (r.event ? "event" : type_text(r.message.type)) + " " + payload_text(r.message.payload);
}

std::string step_text(const Script &s, const Step &step)
{
    Record r{step.at_us, Note{}};
    std::visit([&](const auto &what) { r.body = what; }, step.what);
    (void)s;
    return line(r);
}

} // namespace xsgit::replay
