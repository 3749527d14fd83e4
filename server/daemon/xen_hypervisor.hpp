// SPDX-License-Identifier: MIT
// The real Xen, through libxenctrl, libxenevtchn and libxengnttab (4.17 and newer). The one place that knows them.
#pragma once

#include "server/daemon/hypervisor.hpp"

#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace xsgit::server {

class XenHypervisor final : public Hypervisor, private RingHost {
public:
    /// `inherited`: the event channel descriptor of an earlier process, with everything that is bound to it; -1: none.
    /// Throws std::runtime_error with advice when there is no Xen here, or we may not use it.
    explicit XenHypervisor(int inherited);
    ~XenHypervisor() override;
    /// Becomes the one who is told of changed domains. Throws as above when another process is.
    void settle();
    /// To be inherited: outlives this.
    int fd() const noexcept override;

    DomainFact domain(std::uint32_t domid) override;
    RingHost *rings() noexcept override { return this; }

private:
    std::optional<std::vector<PresentDomain>> domains() override;
    std::uint32_t control_port() override;
    Result<RingPage *> map(std::uint32_t domid) override;
    void unmap(std::uint32_t domid, RingPage *page) noexcept override;
    Result<std::uint32_t> bind(std::uint32_t domid, std::uint32_t remote) override;
    bool ours(std::uint32_t local) noexcept override;
    std::optional<std::uint32_t> peer(std::uint32_t local, std::uint32_t domid) override;
    bool inherited() const noexcept override { return inherited_; }
    std::optional<std::uint32_t> find_bound(std::uint32_t domid, std::uint32_t remote) override;
    void unbind(std::uint32_t local) noexcept override;
    void unbind_others(const std::vector<std::uint32_t> &keep) override;
    void unmask(std::uint32_t local) noexcept override;
    void notify(std::uint32_t local) noexcept override;
    void pending(Pending &out) override;

    struct Handles;
    std::unique_ptr<Handles> h_;
    bool inherited_;
    /// By domain and its port; as it was when somebody asked first.
    std::optional<std::multimap<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t>> inherited_ports_;
    std::uint32_t virq_port_ = 0;
};

} // namespace xsgit::server
