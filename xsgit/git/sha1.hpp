// SPDX-License-Identifier: MIT
// SHA-1 piece by piece, by libcrypto (which uses the CPU's SHA instructions and falls back to
// portable code at run time). For bytes that we chose; guests' bytes: hash_guest_blob().
#pragma once

#include "xsgit/git/oid.hpp"

#include <openssl/sha.h>
#include <string_view>

namespace xsgit {

class Sha1 {
public:
    Sha1() noexcept;
    void update(std::string_view bytes) noexcept;
    /// The digest; the object is of no further use.
    Oid finish() noexcept;

private:
    SHA_CTX state_;
};

} // namespace xsgit
