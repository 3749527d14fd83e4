// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_hash.hpp"

#include <algorithm>

namespace xsgit {
namespace {

constexpr std::size_t kEvery = 512;
constexpr std::size_t kLeast = 1024; // below, the marks would cost more than they save

} // namespace

Oid hash_tree(std::string_view content, std::size_t same, Ref<const HashMarks> &marks)
{
    if (content.size() < kLeast) {
        marks = nullptr;
        return hash_object(ObjectType::Tree, content);
    }
    const std::size_t count = content.size() / kEvery;
    const std::size_t kept = marks && marks->size_ == content.size() ? std::min(same / kEvery, count) : 0;
    Sha1 sha = kept > 0 ? marks->states_[kept - 1] : begin_object(ObjectType::Tree, content.size());
    if (kept < count) {
        Ref<HashMarks> fresh(new HashMarks(content.size()));
        fresh->states_.reserve(count);
        if (kept > 0)
            fresh->states_.assign(marks->states_.begin(),
                                  marks->states_.begin() + static_cast<std::ptrdiff_t>(kept));
        for (std::size_t i = kept; i < count; ++i) {
            sha.update(content.substr(i * kEvery, kEvery));
            fresh->states_.push_back(sha);
        }
        marks = std::move(fresh);
    }
    sha.update(content.substr(count * kEvery));
    return sha.finish();
}

} // namespace xsgit
