// SPDX-License-Identifier: MIT
// What is hidden, and what is not.
#include "bisect/record/redaction.hpp"

#include <doctest/doctest.h>

using namespace xsgit::record;
using namespace std::string_literals;

TEST_CASE("globs")
{
    CHECK(glob_matches("/a/*", "/a/b/c"));
    CHECK(glob_matches("*", ""));
    CHECK(glob_matches("/vm/*/pass?ord", "/vm/1/2/password"));
    CHECK(glob_matches("a*b*c", "axxbxbxc"));
    CHECK_FALSE(glob_matches("/a/*", "/a"));
    CHECK_FALSE(glob_matches("/a", "/a/b"));
    CHECK_FALSE(glob_matches("?", ""));
    CHECK_FALSE(glob_matches("a*b*c", "axxbxb"));
    CHECK_FALSE(glob_matches(std::string(2000, 'a') + "*a*a*a*a*b",
                             std::string(4000, 'a'))); // at once, not after years
}

TEST_CASE("paths are compared in full, in doubt they are hidden")
{
    const Redaction r({"/local/domain/5/secret*", "/vm/*"});
    CHECK(r.hides("/local/domain/5/secret/x", 0));
    CHECK(r.hides("secret", 5));
    CHECK_FALSE(r.hides("secret", 6));
    CHECK_FALSE(r.hides("/local/domain/5/name", 0));
    CHECK(r.hides("secret", std::nullopt));
    CHECK(r.hides("name", std::nullopt)); // whose is not known
    CHECK_FALSE(r.hides("/tool", std::nullopt));
    CHECK(r.hides("/tool/", 0)); // none that a node has
    CHECK_FALSE(Redaction().hides("/vm/1", 0));
}

TEST_CASE("values are hidden where they are sent, with their length")
{
    const Redaction rules({"/s"});
    ConnectionRedaction c(rules, 0);
    std::string written = "/s\0secret"s, plain = "/t\0open"s, bare = "secret";
    CHECK(c.request(11, written));
    CHECK(written == "/s\0******"s);
    CHECK_FALSE(c.request(11, plain));
    CHECK(plain == "/t\0open"s);
    CHECK(c.request(11, bare)); // no path at all
    CHECK(bare == "******");
}

TEST_CASE("replies are told by their place")
{
    const Redaction rules({"/s"});
    ConnectionRedaction c(rules, 0);
    const auto ask = [&](std::string path) {
        path += '\0';
        CHECK_FALSE(c.request(2, path));
    };
    const auto hears = [&](std::uint32_t type, std::string value) {
        c.reply(type, value);
        return value;
    };
    ask("/s");
    ask("/t");
    ask("/s");
    ask("/s");
    CHECK(hears(2, "one") == "***");
    CHECK(hears(2, "two") == "two");
    CHECK(hears(16, "ENOENT\0"s) == "ENOENT\0"s);
    CHECK(hears(2, "four") == "****");
    CHECK(hears(2, "of what?") == "********"); // of a request that was not seen
}

TEST_CASE("more unanswered requests than are counted: every value is hidden from then on")
{
    const Redaction rules({"/s"});
    ConnectionRedaction c(rules, 0);
    for (int i = 0; i < 65536; ++i) {
        std::string path = "/t\0"s;
        c.request(2, path);
    }
    std::string path = "/t\0"s, value = "value";
    c.request(2, path);
    CHECK(c.reply(2, value));
    CHECK(value == "*****");
}
