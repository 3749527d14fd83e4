// SPDX-License-Identifier: MIT
// Ids of long tree objects. Two versions of a directory differ in 20 bytes somewhere; SHA-1 is remembered every 512
// bytes, and only what lies behind the change is hashed again. Private to the encoder.
#pragma once

#include "xsgit/base/ref.hpp"
#include "xsgit/git/oid.hpp"
#include "xsgit/git/sha1.hpp"

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace xsgit {

class HashMarks final : public RefCounted<HashMarks> {
public:
    static void destroy(const HashMarks *m) noexcept { delete m; }

private:
    friend Oid hash_tree(std::string_view content, std::size_t same, Ref<const HashMarks> &marks);
    explicit HashMarks(std::size_t size) : size_(size) {}
    const std::size_t size_; // of the content: it stands in front of what is hashed
    std::vector<Sha1> states_;
};

/// Id of the tree object `content`. `marks`: of the version before, which has the same first `same` bytes (all are
/// looked at if it was not as long); replaced by those of this one, null for a short one.
Oid hash_tree(std::string_view content, std::size_t same, Ref<const HashMarks> &marks);

} // namespace xsgit
