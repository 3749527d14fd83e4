// SPDX-License-Identifier: MIT
// Counts allocations: what something costs, without a clock.
#pragma once

#include <cstddef>

namespace xsgit::server::test {

/// From its construction on. One at a time.
class Allocations {
public:
    Allocations() noexcept;
    /// How many there were.
    std::size_t count() const noexcept;
    /// The most bytes that were held at once, beyond those at the beginning.
    std::size_t peak() const noexcept;

private:
    std::size_t count_, held_;
};

} // namespace xsgit::server::test
