// SPDX-License-Identifier: MIT
#include "xsgit/base/path.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace xsgit;

namespace {

std::string parsed(std::string_view text, bool special = false)
{
    const auto p = Path::parse(text, 7, special);
    return p ? p->str() : std::string(wire_name(p.error()));
}

std::vector<std::string> components(const Path &p)
{
    std::vector<std::string> v;
    for (auto c : p.components())
        v.emplace_back(c);
    return v;
}

} // namespace

TEST_CASE("path: absolute")
{
    CHECK(parsed("/") == "/");
    CHECK(parsed("/a") == "/a");
    CHECK(parsed("/local/domain/0") == "/local/domain/0");
    CHECK(parsed("/A-Z_z@9/-/_/@") == "/A-Z_z@9/-/_/@");
    for (const char *bad : {"", "//", "/a/", "/a//b", "//a", "/a/b//", "/a b", "/a.b", "/a:b", "/\xc3\xa4",
                            "/a\n", "///", "/*", "/%perms", "/a\\b", "/~"})
        CHECK_MESSAGE(parsed(bad) == "EINVAL", bad);
    CHECK(parsed(std::string_view("/a\0b", 4)) == "EINVAL");
}

TEST_CASE("path: exactly the allowed bytes are allowed")
{
    for (int c = 0; c < 256; ++c) {
        const std::string text = {'/', 'a', static_cast<char>(c), 'b'};
        const bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '_' || c == '@' || c == '/';
        CHECK_MESSAGE((parsed(text) == text) == name, c);
    }
}

TEST_CASE("path: XSA-481, the directory of domains with a trailing slash")
{
    CHECK(parsed("/local/domain/") == "EINVAL");
    CHECK(parsed("/local/domain") == "/local/domain");
}

TEST_CASE("path: relative to the client's domain")
{
    CHECK(parsed("device/vif") == "/local/domain/7/device/vif");
    CHECK(parsed("a@b") == "/local/domain/7/a@b");
    CHECK(parsed("a/") == "EINVAL");
    CHECK(parsed("a//b") == "EINVAL");
    CHECK(parsed(".") == "EINVAL");
    CHECK(Path::parse("x", 0)->str() == "/local/domain/0/x");
    CHECK(Path::parse("x", 4294967295u)->str() == "/local/domain/4294967295/x");
}

TEST_CASE("path: special ones only where allowed")
{
    CHECK(parsed("@releaseDomain") == "EINVAL");
    CHECK(parsed("@releaseDomain", true) == "@releaseDomain");
    CHECK(parsed("@introduceDomain/5", true) == "@introduceDomain/5");
    for (const char *bad : {"@", "@/", "@/x", "@a/", "@a//5", "@a b"})
        CHECK_MESSAGE(parsed(bad, true) == "EINVAL", bad);
    CHECK(parsed("/a", true) == "/a");
    CHECK(parsed("a", true) == "/local/domain/7/a");

    const Path p = *Path::parse("@releaseDomain/5", 0, true), q = Path::trusted("@releaseDomain");
    CHECK(p.is_special());
    CHECK(p.name() == "5");
    CHECK(q.name() == "@releaseDomain");
    CHECK(p.depth() == 2);
    CHECK(q.depth() == 1);
    CHECK(q.contains(p));
    CHECK_FALSE(Path().contains(q));
    CHECK_FALSE(q.contains(Path()));
}

TEST_CASE("path: any length that a payload can carry")
{
    std::string deep;
    for (int i = 0; i < 2047; ++i)
        deep += "/a";
    CHECK(parsed(deep) == deep);
    CHECK(Path::trusted(deep).depth() == 2047);
    const std::string wide = "/" + std::string(4094, 'x');
    CHECK(parsed(wide) == wide);
}

TEST_CASE("path: name, parent, child, depth")
{
    const Path root, a = root.child("a"), ab = a.child("b");
    CHECK(root.is_root());
    CHECK(root.name() == "");
    CHECK(root.parent() == root);
    CHECK(root.depth() == 0);
    CHECK(a.str() == "/a");
    CHECK(a.name() == "a");
    CHECK(a.parent() == root);
    CHECK(ab.str() == "/a/b");
    CHECK(ab.name() == "b");
    CHECK(ab.parent() == a);
    CHECK(ab.depth() == 2);
    CHECK_FALSE(a.is_root());
}

TEST_CASE("path: contains by components")
{
    const auto contains = [](const char *a, const char *b) {
        return Path::trusted(a).contains(Path::trusted(b));
    };
    CHECK(contains("/", "/"));
    CHECK(contains("/", "/a/b"));
    CHECK(contains("/a", "/a"));
    CHECK(contains("/a", "/a/b"));
    CHECK_FALSE(contains("/a", "/ab"));
    CHECK_FALSE(contains("/a/b", "/a"));
    CHECK_FALSE(contains("/a", "/"));
}

TEST_CASE("path: components")
{
    CHECK(components(Path()) == std::vector<std::string>{});
    CHECK(components(Path::trusted("/a")) == std::vector<std::string>{"a"});
    CHECK(components(Path::trusted("/local/domain/0")) == std::vector<std::string>{"local", "domain", "0"});
}
