// SPDX-License-Identifier: MIT
// A Xen host in memory: domains, their pages, event channels. It outlives loops, as a real one outlives daemons.
#pragma once

#include "server/daemon/hypervisor.hpp"
#include "server/daemon/unique_fd.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sys/eventfd.h>
#include <utility>

namespace xsgit::server::test {

class MemoryXen final : public Hypervisor, public RingHost {
public:
    MemoryXen() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { create(0); }

    // ---- what happens on the host ----------------------------------------------------------------
    void create(std::uint32_t domid)
    {
        const std::lock_guard lock(mutex_);
        domains_[domid] = {std::make_unique<RingPage>(), domid + 1000u, false};
    }
    RingPage &page(std::uint32_t domid)
    {
        const std::lock_guard lock(mutex_);
        return *domains_.at(domid).page;
    }
    /// The domain rings on and on, until `times` looks have heard it.
    void ring_without_end(std::uint32_t domid, unsigned times)
    {
        chatty_ = domid;
        left_ = times;
        const std::uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof one);
    }
    /// The domain rings once.
    void ring(std::uint32_t domid)
    {
        const std::lock_guard lock(mutex_);
        for (const auto &[local, far] : ports_)
            if (far.first == domid)
                rung_.insert(local);
        const std::uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof one);
    }
    /// Whether the domain has been rung since the last call.
    bool was_rung(std::uint32_t domid)
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(domains_.at(domid).rung, false);
    }
    unsigned heard() const { return heard_; }
    unsigned ports_of(std::uint32_t domid)
    {
        const std::lock_guard lock(mutex_);
        unsigned n = 0;
        for (const auto &[local, far] : ports_)
            n += far.first == domid;
        return n;
    }

    // ---- Hypervisor, RingHost ----------------------------------------------------------------------
    DomainFact domain(std::uint32_t domid) override
    {
        const std::lock_guard lock(mutex_);
        const auto it = domains_.find(domid);
        return it == domains_.end() ? DomainFact{domid, false, 0} : DomainFact{domid, true, it->second.id};
    }
    RingHost *rings() noexcept override { return this; }
    std::optional<std::vector<PresentDomain>> domains() override
    {
        const std::lock_guard lock(mutex_);
        std::vector<PresentDomain> out;
        for (const auto &[domid, d] : domains_)
            out.push_back({domid, domid == 0 ? 0 : d.id, false, false});
        return out;
    }
    std::uint32_t control_port() override { return 1; }
    Result<RingPage *> map(std::uint32_t domid) override
    {
        const std::lock_guard lock(mutex_);
        const auto it = domains_.find(domid);
        return it == domains_.end() ? fail(Error::Enoent) : Result<RingPage *>(it->second.page.get());
    }
    void unmap(std::uint32_t, RingPage *) noexcept override {}
    Result<std::uint32_t> bind(std::uint32_t domid, std::uint32_t remote) override
    {
        const std::lock_guard lock(mutex_);
        for (const auto &[local, far] : ports_)
            if (far == std::pair(domid, remote))
                return fail(Error::Einval);
        ports_[++last_port_] = {domid, remote};
        return last_port_;
    }
    bool ours(std::uint32_t local) noexcept override { return ports_.contains(local); }
    std::optional<std::uint32_t> peer(std::uint32_t local, std::uint32_t domid) override
    {
        const std::lock_guard lock(mutex_);
        const auto it = ports_.find(local);
        return it != ports_.end() && it->second.first == domid ? std::optional(it->second.second)
                                                               : std::nullopt;
    }
    bool inherited() const noexcept override { return true; }
    std::optional<std::uint32_t> find_bound(std::uint32_t domid, std::uint32_t remote) override
    {
        const std::lock_guard lock(mutex_);
        for (const auto &[local, far] : ports_)
            if (far == std::pair(domid, remote))
                return local;
        return std::nullopt;
    }
    void unbind(std::uint32_t local) noexcept override
    {
        const std::lock_guard lock(mutex_);
        ports_.erase(local);
    }
    void unbind_others(const std::vector<std::uint32_t> &) override {}
    void unmask(std::uint32_t) noexcept override {}
    void notify(std::uint32_t local) noexcept override
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = ports_.find(local); it != ports_.end())
            if (const auto d = domains_.find(it->second.first); d != domains_.end())
                d->second.rung = true;
    }
    int fd() const noexcept override { return event_.get(); }
    void pending(Pending &out) override
    {
        out.ports.clear();
        out.domains = out.lost = false;
        const std::lock_guard lock(mutex_);
        if (left_ == 0) {
            std::uint64_t n;
            (void)!read(event_.get(), &n, sizeof n);
            out.ports.assign(rung_.begin(), rung_.end());
            rung_.clear();
            return;
        }
        --left_;
        ++heard_;
        for (const auto &[local, far] : ports_)
            if (far.first == chatty_)
                out.ports.push_back(local);
    }

private:
    struct Domain {
        std::unique_ptr<RingPage> page;
        std::uint64_t id;
        bool rung; // by us
    };
    std::mutex mutex_;
    UniqueFd event_;
    std::map<std::uint32_t, Domain> domains_;
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> ports_;
    std::set<std::uint32_t> rung_; // our ports, by domains
    std::uint32_t last_port_ = 0;
    std::atomic<std::uint32_t> chatty_{0};
    std::atomic<unsigned> left_{0}, heard_{0};
};

} // namespace xsgit::server::test
