// SPDX-License-Identifier: MIT
// An immutable, counted byte string in one allocation.
#include "xsgit/base/bytes.hpp"

#include <cstring>
#include <new>

namespace xsgit {

Ref<const Bytes> Bytes::make(std::string_view s)
{
    if (s.empty())
        return nullptr;
    void *raw = ::operator new(sizeof(Bytes) + s.size());
    auto *b = new (raw) Bytes(s.size());
    std::memcpy(static_cast<char *>(raw) + sizeof(Bytes), s.data(), s.size());
    return Ref<const Bytes>(b);
}

void Bytes::destroy(const Bytes *b) noexcept
{
    b->~Bytes();
    ::operator delete(const_cast<Bytes *>(b));
}

std::string_view Bytes::view() const noexcept { return {reinterpret_cast<const char *>(this + 1), size_}; }

} // namespace xsgit
