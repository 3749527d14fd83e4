// SPDX-License-Identifier: MIT
// Facts: what the fold must be told about the world to execute a request. They travel with the event.
//
//   facts of a Request := fact (";" fact)*
//   fact := <domid> "0" | <domid> "1" <unique id, hex>     such a domain exists, or not
//         | "attach" <local port>                          INTRODUCE: its ring is mapped, its event channel bound
//         | "failed" <error name>                          INTRODUCE: that did not work
//         | "outstanding" <number>                         of a domain's replies, or of any one's, those not taken
//   facts of a CONTROL request that the server serves := "+" reply | "!" error name
#pragma once

#include "xsgit/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

/// What State::needs() asks for.
struct Needs {
    struct Ring {
        std::uint32_t domid;
        std::uint32_t port; // the guest's event channel; the ring's page may name another
    };
    std::vector<std::uint32_t> domids; // does it exist, and which one is it
    std::optional<Ring> attach;        // INTRODUCE: map it, bind the channel, or say why not
    // How many replies this domain has not taken; kDomidAny: the most of any guest.
    std::optional<std::uint32_t> outstanding;
    bool control = false; // CONTROL with an effect outside the state
    bool empty() const noexcept { return domids.empty() && !attach && !outstanding && !control; }
};

struct DomainFact {
    std::uint32_t domid = 0;
    bool exists = false;
    std::uint64_t unique_id = 0;
};

struct Facts {
    std::vector<DomainFact> domains;
    std::optional<std::uint32_t> local_port; // "attach"
    std::optional<Error> failed;
    std::uint64_t outstanding = 0;

    const DomainFact *domain(std::uint32_t domid) const noexcept;
};
/// Malformed facts are left out.
Facts parse_facts(std::string_view text);

/// One changed domain of a Domains event.
struct DomainNews {
    /// Alive with another id: another domain. Same: the same one, which has been given another id.
    enum class What : std::uint8_t { Alive, Shutdown, Dead, Same };
    std::uint32_t domid = 0;
    std::uint64_t unique_id = 0;
    What what = What::Alive;
};
/// The error of that wire name.
std::optional<Error> named_error(std::string_view name) noexcept;

std::vector<DomainNews> parse_news(std::string_view text);

// The same, written.
void add_fact(std::string &text, const DomainFact &f);
void add_attached(std::string &text, std::uint32_t local_port);
void add_outstanding(std::string &text, std::uint64_t n);
void add_failed(std::string &text, Error e);
void add_news(std::string &text, const DomainNews &n);

} // namespace xsgit::server
