// SPDX-License-Identifier: MIT
// Counts allocations: what something costs, without a clock.
#pragma once

#include <cstddef>

namespace xsgit::test {

/// Of the whole program, from its construction on. One at a time.
class Allocations {
public:
    Allocations() noexcept;
    /// How many there were.
    std::size_t count() const noexcept;
    /// How many bytes were asked for, all in all.
    std::size_t bytes() const noexcept;
    /// The most bytes that were held at once, beyond those at the beginning.
    std::size_t peak() const noexcept;

private:
    std::size_t count_, bytes_, held_;
};

} // namespace xsgit::test
