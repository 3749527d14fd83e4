// SPDX-License-Identifier: MIT
// The state as text: everything but the nodes of main.
#include "server/engine/state_impl.hpp"

#include "xsgit/base/escape.hpp"

#include <fmt/format.h>
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
    for (const auto &[id, c] : s.clients) {
        line("connection {} {} dom{} requests {} next transaction {} {}", id, c.ring ? "ring" : "socket",
             c.domid, c.requests, c.next_tx, escape(c.peer));
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
