// SPDX-License-Identifier: MIT
// An immutable, counted byte string: the value of a node.
#pragma once

#include "xsgit/base/ref.hpp"

#include <string_view>

namespace xsgit {

/// One allocation: counter, size, bytes. The empty string is the null Ref.
class Bytes final : public RefCounted<Bytes> {
public:
    /// A copy of `s`; null when `s` is empty.
    static Ref<const Bytes> make(std::string_view s);
    static void destroy(const Bytes *b) noexcept;

    std::string_view view() const noexcept;

private:
    explicit Bytes(std::size_t n) noexcept : size_(n) {}
    std::size_t size_;
};

using BytesRef = Ref<const Bytes>;

inline std::string_view view(const BytesRef &b) noexcept { return b ? b->view() : std::string_view(); }

} // namespace xsgit
