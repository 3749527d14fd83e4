// SPDX-License-Identifier: MIT
#include "allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <malloc.h>
#include <new>

namespace {

std::size_t total_count, total_bytes, held, most_held;

} // namespace

void *operator new(std::size_t n)
{
    void *const p = std::malloc(n ? n : 1);
    if (!p)
        throw std::bad_alloc();
    ++total_count;
    total_bytes += n;
    held += malloc_usable_size(p);
    most_held = std::max(most_held, held);
    return p;
}

void operator delete(void *p) noexcept
{
    held -= malloc_usable_size(p); // 0 of null
    std::free(p);
}
void operator delete(void *p, std::size_t) noexcept { operator delete(p); }

namespace xsgit::test {

Allocations::Allocations() noexcept : count_(total_count), bytes_(total_bytes), held_(held)
{
    most_held = held;
}
std::size_t Allocations::count() const noexcept { return total_count - count_; }
std::size_t Allocations::bytes() const noexcept { return total_bytes - bytes_; }
std::size_t Allocations::peak() const noexcept { return most_held - held_; }

} // namespace xsgit::test
