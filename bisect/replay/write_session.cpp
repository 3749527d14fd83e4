// SPDX-License-Identifier: MIT
// A script as a session file again.
#include "bisect/replay/record_again.hpp"
#include "bisect/replay/runner.hpp"
#include "xsgit/session/writer.hpp"

#include <algorithm>

namespace xsgit::replay {

using namespace session;

namespace {

std::vector<std::uint64_t> ids_of(const Script &s)
{
    std::vector<std::uint64_t> ids;
    for (const Opened &o : s.clients)
        ids.push_back(o.conn);
    std::vector<std::uint64_t> sorted = ids;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        for (std::size_t i = 0; i < ids.size(); ++i)
            ids[i] = i + 1;
    return ids;
}

/// The requests that follow have the transaction's id as it was recorded.
Message with_recorded_id(Message reply, const Step &step)
{
    if (step.reply && started_transaction(*step.reply) != 0 && started_transaction(reply) != 0)
        reply.payload = step.reply->payload;
    return reply;
}

template <class T>
T of_connection(T what, std::uint64_t id)
{
    what.conn = id;
    return what;
}

} // namespace

void write_session(const Script &script, const Answers &answers,
                   const std::function<void(std::string_view)> &sink)
{
    const std::vector<std::uint64_t> ids = ids_of(script);
    Writer writer(script.meta, sink);
    if (script.start) {
        writer.add(0, Start{true, script.start->size()});
        for (const session::Node &n : *script.start)
            writer.add(0, n);
    }
    bool watches_written = false;
    std::vector<bool> open(script.clients.size());
    for (std::size_t i = 0; i < script.steps.size(); ++i) {
        const Step &step = script.steps[i];
        const auto *opened = std::get_if<Opened>(&step.what);
        if (!watches_written && !(opened && opened->before)) {
            watches_written = true;
            for (const Watch &w : script.watches)
                writer.add(0, of_connection(w, ids[w.conn]));
        }
        if (const auto *news = std::get_if<Domains>(&step.what))
            writer.add(step.at_us, *news);
        else if (opened)
            writer.add(step.at_us, of_connection(*opened, ids[step.client]));
        else if (const Request *request = step.request())
            writer.add(step.at_us, of_connection(*request, ids[step.client]));
        if (opened)
            open[step.client] = true;
        if (answers.empty() && step.reply)
            writer.add(step.at_us, of_connection(Reply{*step.reply}, ids[step.client]));
        if (!answers.empty())
            for (const Received &m : answers[i]) {
                if (m.closed || !open[m.client])
                    continue;
                if (m.event)
                    writer.add(step.at_us, of_connection(session::Event{m.message}, ids[m.client]));
                else
                    writer.add(step.at_us,
                               of_connection(Reply{with_recorded_id(m.message, step)}, ids[m.client]));
            }
        if (std::holds_alternative<Closed>(step.what)) {
            writer.add(step.at_us, Closed{ids[step.client]});
            open[step.client] = false;
        }
    }
    writer.add(script.steps.empty() ? 0 : script.steps.back().at_us, End{"written by xs-replay"});
}

} // namespace xsgit::replay
