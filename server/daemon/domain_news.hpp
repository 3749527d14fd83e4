// SPDX-License-Identifier: MIT
// What has become of the domains that the state knows.
#pragma once

#include "server/daemon/ring_host.hpp"
#include "server/engine/state.hpp"

#include <string>
#include <vector>

namespace xsgit::server {

/// Facts of Domains events that tell the state what it does not know yet; each short enough for one. `present` in order
/// of domid. A domain that is being taken apart counts as dead: it does not come back, and our mapping of its page
/// would keep it from being gone. `held`, in order of domid: whose pages we have mapped since they were compared last.
/// The hypervisor gives no other domain their number meanwhile: a new id is one that the toolstack has given them, as
/// xenopsd does before it destroys a domain.
std::vector<std::string> news_of(const std::vector<State::KnownDomain> &known,
                                 const std::vector<PresentDomain> &present,
                                 const std::vector<std::uint32_t> &held = {});

} // namespace xsgit::server
