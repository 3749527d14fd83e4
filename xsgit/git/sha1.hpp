// SPDX-License-Identifier: MIT
// SHA-1 piece by piece, by libcrypto (which uses the CPU's SHA instructions and falls back to
// portable code at run time). For bytes that we chose; guests' bytes: hash_guest_blob().
#pragma once

#include "xsgit/git/oid.hpp"

#include <cstddef>
#include <openssl/sha.h>
#include <string_view>

namespace xsgit {

/// Copies go on from where the original stands.
class Sha1 {
public:
    Sha1() noexcept;
    void update(std::string_view bytes) noexcept;
    /// The digest; the object is of no further use.
    Oid finish() noexcept;

private:
    SHA_CTX state_;
};

/// SHA-1 of an object of `size` bytes, which follow.
Sha1 begin_object(ObjectType type, std::size_t size) noexcept;

} // namespace xsgit
