// SPDX-License-Identifier: MIT
// Commit objects begin with "tree <id>\n", then a line "parent <id>\n" for each parent.
#include "xsgit/git/first_parents.hpp"

#include <algorithm>

namespace xsgit {

namespace {

constexpr std::string_view kTree = "tree ", kParent = "\nparent ";
constexpr std::size_t kHex = 40;

} // namespace

FirstParents::FirstParents(const Repository &repo, const Oid &tip)
    : repo_(repo), shallow_(repo.shallow_commits()), next_(tip)
{
}

std::optional<Oid> FirstParents::at(std::size_t n)
{
    while (n >= ids_.size())
        if (!step())
            return std::nullopt;
    return ids_[n];
}

std::optional<std::size_t> FirstParents::find(const Oid &commit)
{
    const auto known = std::find(ids_.begin(), ids_.end(), commit);
    if (known != ids_.end())
        return static_cast<std::size_t>(known - ids_.begin());
    while (step())
        if (ids_.back() == commit)
            return ids_.size() - 1;
    return std::nullopt;
}

bool FirstParents::step()
{
    if (next_.is_null())
        return false;
    const auto object = repo_.object(next_);
    if (!object && !ids_.empty()) { // the epoch below was dropped, perhaps just now
        cut_ = true;
        next_ = Oid{};
        return false;
    }
    const auto malformed = [&] {
        return GitError("object " + next_.hex() + " in " + repo_.git_dir() + " is missing or not a commit");
    };
    if (!object || object->type != ObjectType::Commit || !object->content.starts_with(kTree))
        throw malformed();
    const std::string_view rest =
        std::string_view(object->content).substr(std::min(object->content.size(), kTree.size() + kHex));
    Oid parent;
    if (rest.starts_with(kParent)) {
        const auto id = Oid::from_hex(rest.substr(kParent.size(), kHex));
        if (!id)
            throw malformed();
        if (std::binary_search(shallow_.begin(), shallow_.end(), next_))
            cut_ = true;
        else
            parent = *id;
    }
    ids_.push_back(next_);
    next_ = parent;
    return true;
}

} // namespace xsgit
