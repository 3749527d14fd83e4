// SPDX-License-Identifier: MIT
// Conditions: what they say of a state, and how they are read.
#include "bisect/search/condition_parser.hpp"
#include "inspect/failure.hpp"
#include "tests/unit/inspect/store.hpp"

#include <doctest/doctest.h>

using namespace xsgit;
using namespace xsgit::bisect;
using inspect::test::TestStore;

namespace {

std::string read(const std::string &text) { return parse_condition(text).text(); }

std::string complaint(const std::string &text)
{
    try {
        parse_condition(text);
    } catch (const inspect::ToolFailure &e) {
        CHECK(e.code == inspect::kUsage);
        return e.what();
    }
    return "none";
}

} // namespace

TEST_CASE("conditions hold or do not")
{
    TestStore s;
    const auto d0 = s.connect();
    s.write(d0, "/a", "4");
    s.write(d0, "/a/empty", "");
    s.write(d0, "/b", "two (words)");
    s.write(d0, "/bytes", std::string("\n\xff'\"\\", 5));
    s.write(d0, "/local/domain/0/state", "6");
    s.set_perms(d0, "/b", {"n0", "r5", "w9"}); // 9 does not exist
    s.publish();
    const auto repo = Repository::open(s.path);
    inspect::TreeReader reader(*repo);
    const auto holds = [&](const std::string &text) { return parse_condition(text).holds(reader, s.tree()); };

    for (const char *text : {"/a",
                             "/a = 4",
                             "/a='4'",
                             "/a != 5",
                             "/none != 5",
                             "not /none",
                             "/a/empty = ''",
                             "/b = 'two (words)'",
                             "/b ~ ^two",
                             "/b !~ three",
                             "/none !~ x",
                             "/bytes = '\\n\\xff\\'\\\"\\\\'",
                             "state = 6",
                             "@releaseDomain",
                             "/none or /a",
                             "/a and (/none or /b)",
                             "not not /a",
                             "not (/a and /none)",
                             "/a = 4 and not (/none)",
                             "/none and /none or /a",
                             "/a or /none and /none",
                             "perms(/b) = n0,r5,w9",
                             "perms( /b ) = \"n0,r5,w9!\"",
                             "perms(/b) != n0",
                             "perms(/none) != n0",
                             "/tool"})
        CHECK_MESSAGE(holds(text), text);
    for (const char *text : {"/none", "/a = 5", "/a = ''", "/none = ''", "/b ~ three", "/none ~ .", "not /a",
                             "/none or /none", "/a and /none", "perms(/b) = n0,r5", "perms(/b) = n0,r5!,w9!",
                             "perms(/none) = n0", "perms", "(not /a)"})
        CHECK_MESSAGE(!holds(text), text);
    CHECK(!parse_condition("/a").holds(reader, Oid{}));
    CHECK(parse_condition("not /a").holds(reader, Oid{}));
}

TEST_CASE("what is read is written as it is understood, and reads the same")
{
    CHECK(read(" a=4 and not(b)") == "/local/domain/0/a = \"4\" and not (/local/domain/0/b)");
    CHECK(read("/a or /b and /c") == "/a or (/b and /c)");
    CHECK(read("/a ~ 'x\"\\n'") == "/a ~ \"x\\\"\\n\"");
    CHECK(read("android = 1") == "/local/domain/0/android = \"1\"");
    CHECK(read("perms = 1 or perms(/a) = n0") == "/local/domain/0/perms = \"1\" or perms(/a) = \"n0\"");
    for (const char *text :
         {"/a = '\\x00\\xff\\t'", "not (/a or /b) and perms(/c) = 'r0,b5!'", "/a !~ '(x|y)'"}) {
        CHECK(read(read(text)) == read(text));
    }
}

TEST_CASE("what makes no sense is refused, with the place")
{
    CHECK(complaint("/a = ") ==
          "condition: expected a value (in quotes if it is empty or has blanks or parentheses) at "
          "character 6, before \"\"");
    CHECK(complaint("").find("expected a path") != std::string::npos);
    CHECK(complaint("/a /b").find("expected \"and\", \"or\" or the end at character 4, before \"/b\"") !=
          std::string::npos);
    CHECK(complaint("(/a").find("expected \")\"") != std::string::npos);
    CHECK(complaint("/a//b").find("expected a path") != std::string::npos);
    CHECK(complaint("/a = 'x").find("not closed") != std::string::npos);
    CHECK(complaint("/a = 'x\\q'").find("a backslash that means nothing") != std::string::npos);
    CHECK(complaint("/a = 'x\\xf").find("a backslash that means nothing") != std::string::npos);
    CHECK(complaint("/a ~ '('").find("not a regular expression") != std::string::npos);
    CHECK(complaint("perms(/a) = x0").find("not a permission list") != std::string::npos);
    CHECK(complaint("/a and").find("expected a path") != std::string::npos);
    CHECK(complaint(std::string(200, '(')).find("nested too deep") != std::string::npos);
    CHECK(complaint(std::string(9000, '/')).find("too long") != std::string::npos);
    std::string nots;
    for (int i = 0; i < 200; ++i)
        nots += "not ";
    CHECK(complaint(nots + "/a").find("nested too deep") != std::string::npos);
}
