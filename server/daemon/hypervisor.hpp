// SPDX-License-Identifier: MIT
// What the daemon asks the hypervisor.
#pragma once

#include "server/daemon/ring_host.hpp"
#include "server/engine/facts.hpp"
#include "xsgit/base/limits.hpp"

#include <cstdint>

namespace xsgit::server {

class Hypervisor {
public:
    virtual ~Hypervisor() = default;
    /// For look-ups that a request needs.
    virtual DomainFact domain(std::uint32_t domid) = 0;
    /// Null: there are no rings, INTRODUCE only changes the state. Lives as long as this.
    virtual RingHost *rings() noexcept = 0;
};

/// No Xen below: every domid that a domain could have counts as existing, so that permissions and
/// introductions can be tried out. Nobody is behind the rings.
class Standalone final : public Hypervisor {
public:
    DomainFact domain(std::uint32_t domid) override
    {
        return {domid, domid < kDomidFirstReserved, domid < kDomidFirstReserved ? domid + 1u : 0u};
    }
    RingHost *rings() noexcept override { return nullptr; }
};

} // namespace xsgit::server
