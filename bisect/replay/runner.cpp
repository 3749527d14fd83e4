// SPDX-License-Identifier: MIT
// Ids of transactions, there and back.
#include "bisect/replay/runner.hpp"

#include "server/engine/wire.hpp"

#include <charconv>
#include <set>

namespace xsgit::replay {

using server::MsgType;

namespace {

bool is(const session::Message &m, MsgType type) { return m.type == static_cast<std::uint32_t>(type); }

std::multiset<std::string_view> names(const std::string &list)
{
    const auto all = server::arguments(list, list.size());
    return {all.begin(), all.end()};
}

std::string_view behind_first_nul(const std::string &s)
{
    const std::size_t n = s.find('\0');
    return n == std::string::npos ? std::string_view(s) : std::string_view(s).substr(n);
}

} // namespace

std::uint32_t started_transaction(const session::Message &m)
{
    std::uint32_t id = 0;
    if (is(m, MsgType::TransactionStart))
        std::from_chars(m.payload.data(), m.payload.data() + m.payload.size(), id);
    return id;
}

void Runner::play(const Step &step, std::vector<Received> &out)
{
    target_.set_time(step.at_us);
    if (!watches_made_ && !(std::holds_alternative<session::Opened>(step.what) &&
                            std::get<session::Opened>(step.what).before)) {
        watches_made_ = true; // those who had them are there now
        for (const session::Watch &w : script_.watches)
            target_.watch(w);
    }
    if (const auto *opened = std::get_if<session::Opened>(&step.what)) {
        target_.open(step.client, *opened);
    } else if (std::holds_alternative<session::Closed>(step.what)) {
        target_.close(step.client, out);
        transactions_.erase(step.client);
    } else if (const auto *domains = std::get_if<session::Domains>(&step.what)) {
        target_.domains(domains->news, out);
    } else {
        session::Request r = *step.request();
        if (r.tx_id != 0) {
            const auto &ids = transactions_[step.client];
            const auto known = ids.find(r.tx_id);
            // One that was not started here must not hit another one by chance.
            r.tx_id = known != ids.end() ? known->second : r.tx_id | 0x40000000u;
        }
        const std::size_t before = out.size();
        target_.request(step.client, r, step.reply ? &*step.reply : nullptr, out);
        translate(step, r.tx_id, out, before);
    }
}

void Runner::translate(const Step &step, std::uint32_t sent_tx, std::vector<Received> &out, std::size_t from)
{
    for (std::size_t i = from; i < out.size(); ++i) {
        Received &got = out[i];
        if (got.client != step.client || got.event || got.closed)
            continue;
        if (got.message.tx_id == sent_tx)
            got.message.tx_id = step.request()->tx_id;
        auto &ids = transactions_[step.client];
        if (is(got.message, MsgType::TransactionEnd))
            ids.erase(step.request()->tx_id);
        const std::uint32_t theirs = started_transaction(got.message);
        const std::uint32_t recorded = step.reply ? started_transaction(*step.reply) : theirs;
        if (theirs != 0 && recorded != 0)
            ids[recorded] = theirs;
    }
}

bool same_message(const Received &recorded, const Received &got, bool lenient)
{
    const session::Message &a = recorded.message, &b = got.message;
    if (recorded.closed || got.closed)
        return recorded.closed == got.closed;
    if (recorded.event != got.event || a.type != b.type)
        return false;
    if (!recorded.event && (a.req_id != b.req_id || a.tx_id != b.tx_id))
        return false;
    if (a.redacted || b.redacted || is(a, MsgType::TransactionStart) || is(a, MsgType::Control))
        return true;
    if (lenient && (is(a, MsgType::Error) || is(a, MsgType::DirectoryPart))) // a part depends on the order
        return true;
    if (lenient && is(a, MsgType::Directory))
        return names(a.payload) == names(b.payload);
    if (is(a, MsgType::DirectoryPart))
        return behind_first_nul(a.payload) == behind_first_nul(b.payload);
    return a.payload == b.payload;
}

} // namespace xsgit::replay
