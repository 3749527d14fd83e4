// SPDX-License-Identifier: MIT
// A git object id (SHA-1), and how the two ways of computing one differ.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace xsgit {

struct Oid {
    std::array<std::uint8_t, 20> bytes{};
    friend auto operator<=>(const Oid &, const Oid &) = default;
    bool is_null() const noexcept { return *this == Oid{}; }
    /// 40 lower-case digits.
    std::string hex() const;
    static std::optional<Oid> from_hex(std::string_view hex);
};

enum class ObjectType : std::uint8_t { Commit = 1, Tree = 2, Blob = 3 }; // git's pack numbers

/// The bytes look like one half of a forged SHA-1 collision. git refuses such an object too (fsck and
/// clone stop at it), so it must not get into the store as it is.
struct HashCollision : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// For trees and commits, whose bytes are ours to choose: libcrypto's SHA-1 (SHA
/// instructions where the CPU has them). About 150 ns for 300 bytes.
Oid hash_object(ObjectType type, std::string_view content);
/// For blobs, whose bytes a guest chooses: libgit2's SHA-1 with collision detection. About 200 ns for
/// 50 bytes. Throws HashCollision.
Oid hash_guest_blob(std::string_view content);

} // namespace xsgit
