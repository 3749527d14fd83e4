// SPDX-License-Identifier: MIT
// Counts allocations: the cost of a change without a clock.
#include "support.hpp"

#include <new>

namespace {

std::size_t total_count, total_bytes;

} // namespace

void *operator new(std::size_t n)
{
    ++total_count;
    total_bytes += n;
    if (void *p = std::malloc(n ? n : 1))
        return p;
    throw std::bad_alloc();
}

void operator delete(void *p) noexcept { std::free(p); }
void operator delete(void *p, std::size_t) noexcept { std::free(p); }

namespace xsgit::test {

Allocations::Allocations() noexcept : count_(total_count), bytes_(total_bytes) {}
std::size_t Allocations::count() const noexcept { return total_count - count_; }
std::size_t Allocations::bytes() const noexcept { return total_bytes - bytes_; }

} // namespace xsgit::test
