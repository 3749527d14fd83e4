// SPDX-License-Identifier: MIT
#include "bisect/search/condition.hpp"

#include "inspect/failure.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/base/perms.hpp"

#include <algorithm>

namespace xsgit::bisect {

namespace {

std::string quoted(const std::string &value)
{
    std::string text = "\"";
    for (const char c : escape(value))
        text += c == '"' ? std::string("\\\"") : std::string(1, c);
    return text + '"';
}

std::string without_marks(std::string perms)
{
    perms.erase(std::remove(perms.begin(), perms.end(), '!'), perms.end());
    return perms;
}

} // namespace

Condition Condition::of_node(Kind kind, Path path, std::string text)
{
    Condition c(kind, std::move(text));
    c.path_ = std::move(path);
    return c;
}

Condition Condition::exists(Path path)
{
    const std::string text = path.str();
    return of_node(Kind::Exists, std::move(path), text);
}

Condition Condition::value_is(Path path, std::string value)
{
    const std::string text = path.str() + " = " + quoted(value);
    Condition c = of_node(Kind::Is, std::move(path), text);
    c.wanted_ = std::move(value);
    return c;
}

Condition Condition::value_matches(Path path, const std::string &regex)
{
    const std::string text = path.str() + " ~ " + quoted(regex);
    Condition c = of_node(Kind::Matches, std::move(path), text);
    c.regex_.emplace(regex);
    return c;
}

Condition Condition::perms_are(Path path, const std::string &list)
{
    if (!PermList::from_text(list))
        throw inspect::ToolFailure(inspect::kUsage, "not a permission list like n0,r5: " + escape(list));
    const std::string text = "perms(" + path.str() + ") = " + quoted(list);
    Condition c = of_node(Kind::Perms, std::move(path), text);
    c.wanted_ = list;
    return c;
}

std::string Condition::operand() const
{
    return kind_ == Kind::And || kind_ == Kind::Or ? "(" + text_ + ")" : text_;
}

Condition Condition::negation(Condition a)
{
    Condition c(Kind::Not, "not (" + a.text_ + ")");
    c.parts_.push_back(std::make_shared<const Condition>(std::move(a)));
    return c;
}

Condition Condition::of_two(Kind kind, const char *word, Condition a, Condition b)
{
    Condition c(kind, a.operand() + word + b.operand());
    c.parts_.push_back(std::make_shared<const Condition>(std::move(a)));
    c.parts_.push_back(std::make_shared<const Condition>(std::move(b)));
    return c;
}

Condition Condition::both(Condition a, Condition b)
{
    return of_two(Kind::And, " and ", std::move(a), std::move(b));
}

Condition Condition::either(Condition a, Condition b)
{
    return of_two(Kind::Or, " or ", std::move(a), std::move(b));
}

bool Condition::holds(inspect::TreeReader &reader, const Oid &root) const
{
    switch (kind_) {
    case Kind::Not:
        return !parts_[0]->holds(reader, root);
    case Kind::And:
        return parts_[0]->holds(reader, root) && parts_[1]->holds(reader, root);
    case Kind::Or:
        return parts_[0]->holds(reader, root) || parts_[1]->holds(reader, root);
    default:
        break;
    }
    const auto node = reader.find(root, path_);
    if (!node || kind_ == Kind::Exists)
        return node.has_value();
    const inspect::NodeState state = reader.state(*node);
    if (kind_ == Kind::Is)
        return state.value == wanted_;
    if (kind_ == Kind::Matches)
        return regex_->matches(state.value);
    return wanted_ == (wanted_.find('!') == wanted_.npos ? without_marks(state.perms) : state.perms);
}

} // namespace xsgit::bisect
