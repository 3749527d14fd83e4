// SPDX-License-Identifier: MIT
// What the daemon asks the hypervisor, and tells it.
#pragma once

#include "server/engine/facts.hpp"
#include "server/engine/output.hpp"
#include "xsgit/base/limits.hpp"

#include <cstdint>

namespace xsgit::server {

class Hypervisor {
public:
    virtual ~Hypervisor() = default;
    virtual DomainFact domain(std::uint32_t domid) = 0;
    /// Maps the domain's ring and binds its event channel, for INTRODUCE; gives the local port. Replaces an
    /// earlier attachment when the order comes; one that no order follows is given back by the next attach().
    virtual Result<std::uint32_t> attach(const Needs::Ring &ring) = 0;
    virtual void carry_out(const Order &order) = 0;
};

/// No Xen below: every domid that a domain could have counts as existing, so that permissions and
/// introductions can be tried out. Nobody is behind the rings.
class Standalone final : public Hypervisor {
public:
    DomainFact domain(std::uint32_t domid) override
    {
        return {domid, domid < kDomidFirstReserved, domid < kDomidFirstReserved ? domid + 1u : 0u};
    }
    Result<std::uint32_t> attach(const Needs::Ring &ring) override
    {
        if (!domain(ring.domid).exists)
            return fail(Error::Einval);
        return 0u;
    }
    void carry_out(const Order &) override {}
};

} // namespace xsgit::server
