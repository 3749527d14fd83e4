// SPDX-License-Identifier: MIT
// The state as text: everything but the nodes of main.
#include "server/engine/state_impl.hpp"

#include "xsgit/base/escape.hpp"

#include <fmt/core.h>
#include <iterator>

namespace xsgit::server {

std::string State::describe() const
{
    const Impl &s = *impl_;
    std::string text;
    const auto line = [&]<class... A>(fmt::format_string<A...> f, A &&...a) {
        fmt::format_to(std::back_inserter(text), f, std::forward<A>(a)...);
        text.push_back('\n');
    };
    line("event {}", s.event_number);
    line("seq {}", s.seq);
    line("conflicts {}", s.conflicts);
    line("epoch {} from seq {}", s.epoch, s.epoch_first_seq);
    line("next connection {}", s.next_conn);
    for (std::size_t i = 0; i < kQuotas; ++i)
        if (s.quotas[quota_at(i)] != Quotas()[quota_at(i)])
            line("quota {} {}", quota_name(quota_at(i)), s.quotas[quota_at(i)]);
    if (s.keep_orphans)
        line("orphans are kept");
    for (const auto &[domid, d] : s.domains) {
        if (domid == 0)
            continue;
        line("domain {} id {:x}{}{}{} features {}", domid, d.unique_id,
             d.introduced ? fmt::format(" introduced port {} connection {}", d.port, d.conn) : std::string(),
             d.shutdown ? " shut down" : "", d.target ? fmt::format(" target {}", *d.target) : std::string(),
             d.features);
        for (std::size_t i = 0; i < kQuotas; ++i)
            if (d.quotas[quota_at(i)] != s.quotas[quota_at(i)])
                line("  quota {} {}", quota_name(quota_at(i)), d.quotas[quota_at(i)]);
    }
    for (const auto &[domid, a] : s.accounts.all())
        line("owner {} nodes {} bytes {}", domid, a.nodes, a.bytes);
    for (const auto &[id, c] : s.clients) {
        line("connection {} {}{} dom{} requests {} next transaction {} {}", id, c.ring ? "ring" : "socket",
             c.ignored ? " ignored" : "", c.domid, c.requests, c.next_tx, escape(c.peer));
        for (const auto &[order, w] : c.watches)
            line("  watch {} token {}{}", escape(w.given), escape(w.token),
                 w.depth < 0 ? "" : fmt::format(" depth {}", w.depth));
        for (const auto &[txid, tx] : c.transactions) {
            line("  transaction {} from seq {}{}", txid, tx.base_seq,
                 tx.doom == Error::Einval ? "" : " doomed");
            for (const TxRequest &q : tx.log)
                line("    {} {} answer {:016x}", type_name(q.type), escape(q.payload), q.answer);
        }
    }
    return text;
}

} // namespace xsgit::server
