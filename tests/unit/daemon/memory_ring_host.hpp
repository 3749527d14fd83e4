// SPDX-License-Identifier: MIT
// A host that only counts how often it was told to ring.
#pragma once

#include "server/daemon/ring_host.hpp"

namespace xsgit::server::test {

class MemoryRingHost final : public RingHost {
public:
    std::optional<std::vector<PresentDomain>> domains() override { return std::nullopt; }
    std::uint32_t control_port() override { return 0; }
    Result<RingPage *> map(std::uint32_t) override { return fail(Error::Einval); }
    void unmap(std::uint32_t, RingPage *) noexcept override {}
    Result<std::uint32_t> bind(std::uint32_t, std::uint32_t) override { return fail(Error::Einval); }
    bool ours(std::uint32_t) noexcept override { return false; }
    std::optional<std::uint32_t> peer(std::uint32_t, std::uint32_t) override { return std::nullopt; }
    bool inherited() const noexcept override { return false; }
    std::optional<std::uint32_t> find_bound(std::uint32_t, std::uint32_t) override { return std::nullopt; }
    void unbind(std::uint32_t) noexcept override {}
    void unbind_others(const std::vector<std::uint32_t> &) override {}
    void unmask(std::uint32_t) noexcept override {}
    void notify(std::uint32_t) noexcept override { ++rung; }
    int fd() const noexcept override { return -1; }
    void pending(Pending &) override {}

    unsigned rung = 0;
};

} // namespace xsgit::server::test
