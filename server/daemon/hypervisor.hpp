// SPDX-License-Identifier: MIT
// What the daemon asks the hypervisor.
#pragma once

#include "xsgit/base/limits.hpp"

#include <cstdint>

namespace xsgit::server {

class Hypervisor {
public:
    virtual ~Hypervisor() = default;
    virtual bool domain_exists(std::uint32_t domid) = 0;
};

/// No Xen below: every domid that a domain could have counts as existing, so that permissions can be tried out.
class Standalone final : public Hypervisor {
public:
    bool domain_exists(std::uint32_t domid) override { return domid < kDomidFirstReserved; }
};

} // namespace xsgit::server
