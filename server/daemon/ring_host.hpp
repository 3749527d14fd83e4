// SPDX-License-Identifier: MIT
// The part of a hypervisor that carries rings: pages of other domains, event channels, news of domains. What it binds
// belongs to a descriptor that outlives the process; mappings do not.
#pragma once

#include "server/daemon/ring_page.hpp"
#include "xsgit/base/result.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace xsgit::server {

struct PresentDomain {
    std::uint32_t domid = 0;
    std::uint64_t unique_id = 0; // never of two domains at a time; 0: not known
    bool shutdown = false;       // does not run any more, for whatever reason
    bool dying = false;          // being taken apart: it does not come back
};

class RingHost {
public:
    virtual ~RingHost() = default;

    // ---- domains -----------------------------------------------------------
    /// All that exist, by domid. Nullopt: the hypervisor could not say.
    virtual std::optional<std::vector<PresentDomain>> domains() = 0;
    /// Event channel of the control domain for its own ring, as its kernel tells it.
    virtual std::uint32_t control_port() = 0;

    // ---- pages -------------------------------------------------------------
    virtual Result<RingPage *> map(std::uint32_t domid) = 0;
    virtual void unmap(std::uint32_t domid, RingPage *page) noexcept = 0;

    // ---- event channels ----------------------------------------------------
    /// Connects a new local port to the domain's port `remote`.
    virtual Result<std::uint32_t> bind(std::uint32_t domid, std::uint32_t remote) = 0;
    /// Whether `local`, of an earlier process, is still ours. Rings the other side.
    virtual bool ours(std::uint32_t local) noexcept = 0;
    /// The domain's port that `local` is connected to now, which the domain may change: Windows' drivers reset all their
    /// ports and connect themselves to ours again. Nullopt: none of that domain's.
    virtual std::optional<std::uint32_t> peer(std::uint32_t local, std::uint32_t domid) = 0;
    /// Whether the ports of the earlier process were inherited; else it may just be ending, its ports still bound.
    virtual bool inherited() const noexcept = 0;
    /// A port of an earlier process that is connected there. The first call looks at all ports: slow.
    virtual std::optional<std::uint32_t> find_bound(std::uint32_t domid, std::uint32_t remote) = 0;
    virtual void unbind(std::uint32_t local) noexcept = 0;
    /// Gives back ports of an earlier process that are not in `keep`. Slow.
    virtual void unbind_others(const std::vector<std::uint32_t> &keep) = 0;
    /// Lets events of `local` through, which an earlier process may have taken and not answered.
    virtual void unmask(std::uint32_t local) noexcept = 0;
    virtual void notify(std::uint32_t local) noexcept = 0;

    // ---- what happened -----------------------------------------------------
    /// Readable when pending() has something to tell.
    virtual int fd() const noexcept = 0;
    struct Pending {
        std::vector<std::uint32_t> ports; // local ones that rang; they may ring again from now on
        bool domains = false;             // some domain has changed
        bool lost = false;                // any port may have rung, and may be masked
    };
    /// Does not block. Empties and fills `out`.
    virtual void pending(Pending &out) = 0;
};

} // namespace xsgit::server
