// SPDX-License-Identifier: MIT
#include "xsgit/base/escape.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace xsgit;

TEST_CASE("escape: printable ASCII stays, the rest does not reach a terminal")
{
    CHECK(escape("") == "");
    CHECK(escape("a b~ !\"'") == "a b~ !\"'");
    CHECK(escape("\\") == "\\\\");
    CHECK(escape("a\n\t\rb") == "a\\n\\t\\rb");
    CHECK(escape(std::string_view("\0\x1b[2J\x7f\x80\xff", 8)) == "\\x00\\x1b[2J\\x7f\\x80\\xff");
}

TEST_CASE("escape: a limit counts input bytes")
{
    CHECK(escape("abc", 3) == "abc");
    CHECK(escape("abcd", 3) == "abc...");
    CHECK(escape("\n\n\n", 2) == "\\n\\n...");
    CHECK(escape("abc", 0) == "abc");
}

TEST_CASE("escape: every byte gives printable ASCII, and no two the same")
{
    std::string all, seen;
    for (int c = 0; c < 256; ++c) {
        const std::string one = escape(std::string(1, static_cast<char>(c)));
        CHECK(std::all_of(one.begin(), one.end(), [](char x) { return x >= 0x20 && x < 0x7f; }));
        CHECK(all.find("\n" + one + "\n") == all.npos);
        all += "\n" + one + "\n";
    }
}
