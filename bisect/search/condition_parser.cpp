// SPDX-License-Identifier: MIT
#include "bisect/search/condition_parser.hpp"

#include "inspect/failure.hpp"
#include "xsgit/base/escape.hpp"

#include <cctype>
#include <charconv>
#include <fmt/core.h>

namespace xsgit::bisect {

namespace {

constexpr std::size_t kMost = 8u << 10; // bytes of text
constexpr int kDeepest = 100;           // parentheses and "not" within each other

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Condition whole()
    {
        if (text_.size() > kMost)
            failed("the condition is too long");
        Condition c = either();
        if (!at_end())
            failed("expected \"and\", \"or\" or the end");
        return c;
    }

private:
    [[noreturn]] void failed(std::string_view what) const
    {
        throw inspect::ToolFailure(inspect::kUsage,
                                   fmt::format("condition: {} at character {}, before \"{}\"", what, at_ + 1,
                                               escape(text_.substr(at_), 20)));
    }

    Condition either()
    {
        Condition c = both();
        while (word("or"))
            c = Condition::either(std::move(c), both());
        return c;
    }

    Condition both()
    {
        Condition c = single();
        while (word("and"))
            c = Condition::both(std::move(c), single());
        return c;
    }

    Condition single()
    {
        if (++depth_ > kDeepest)
            failed("nested too deep");
        Condition c = word("not") ? Condition::negation(single()) : mark("(") ? rest_of_group() : test();
        --depth_;
        return c;
    }

    Condition rest_of_group()
    {
        Condition c = either();
        expect(")");
        return c;
    }

    Condition test()
    {
        if (perms_follow()) {
            expect("(");
            Path p = path();
            expect(")");
            const bool no = mark("!=");
            if (!no)
                expect("=");
            return maybe_not(no, Condition::perms_are(std::move(p), value()));
        }
        Path p = path();
        if (mark("!~"))
            return Condition::negation(Condition::value_matches(std::move(p), value()));
        if (mark("~"))
            return Condition::value_matches(std::move(p), value());
        if (mark("!="))
            return Condition::negation(Condition::value_is(std::move(p), value()));
        if (mark("="))
            return Condition::value_is(std::move(p), value());
        return Condition::exists(std::move(p));
    }

    static Condition maybe_not(bool no, Condition c) { return no ? Condition::negation(std::move(c)) : c; }

    /// "perms" is a node's name as well.
    bool perms_follow()
    {
        const std::size_t before = at_;
        if (word("perms") && at_ < text_.size() && text_[at_] == '(')
            return true;
        at_ = before;
        return false;
    }

    Path path()
    {
        skip_blanks();
        const std::size_t begin = at_;
        while (at_ < text_.size() && in_name(text_[at_]))
            ++at_;
        const auto p = Path::parse(text_.substr(begin, at_ - begin), 0, true);
        if (!p) {
            at_ = begin;
            failed("expected a path of the store");
        }
        return *p;
    }

    std::string value()
    {
        skip_blanks();
        if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\''))
            return in_quotes(text_[at_++]);
        const std::size_t begin = at_;
        while (at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != '(' && text_[at_] != ')')
            ++at_;
        if (at_ == begin)
            failed("expected a value (in quotes if it is empty or has blanks or parentheses)");
        return std::string(text_.substr(begin, at_ - begin));
    }

    std::string in_quotes(char quote)
    {
        std::string out;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == quote)
                return out;
            out += c == '\\' ? escaped() : c;
        }
        failed("the quotes are not closed");
    }

    char escaped()
    {
        const char c = at_ < text_.size() ? text_[at_++] : '\0';
        switch (c) {
        case 'n':
            return '\n';
        case 't':
            return '\t';
        case 'r':
            return '\r';
        case '\\':
        case '\'':
        case '"':
            return c;
        default:
            break;
        }
        unsigned byte = 0;
        const char *const digits = text_.data() + at_;
        if (c == 'x' && at_ + 2 <= text_.size() &&
            std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
            at_ += 2;
            return static_cast<char>(byte);
        }
        failed("a backslash that means nothing (in a regular expression it takes two)");
    }

    static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }
    static bool in_name(char c)
    {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '/' || c == '_' || c == '@';
    }

    void skip_blanks()
    {
        while (at_ < text_.size() && is_blank(text_[at_]))
            ++at_;
    }
    bool at_end()
    {
        skip_blanks();
        return at_ == text_.size();
    }
    bool mark(std::string_view m)
    {
        skip_blanks();
        if (!text_.substr(at_).starts_with(m))
            return false;
        at_ += m.size();
        return true;
    }
    void expect(std::string_view m)
    {
        if (!mark(m))
            failed(fmt::format("expected \"{}\"", m));
    }
    /// Not where it is only the beginning of a name.
    bool word(std::string_view w)
    {
        skip_blanks();
        const std::size_t end = at_ + w.size();
        if (!text_.substr(at_).starts_with(w) || (end < text_.size() && in_name(text_[end])))
            return false;
        at_ = end;
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

} // namespace

Condition parse_condition(std::string_view text) { return Parser(text).whole(); }

} // namespace xsgit::bisect
