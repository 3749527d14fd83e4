// SPDX-License-Identifier: MIT
#include "xsgit/base/perms.hpp"

#include <doctest/doctest.h>

using namespace xsgit;

namespace {

/// "r5", or the error.
std::string parsed(std::string_view text)
{
    const auto p = parse_perm(text);
    return p ? access_letter(p->access) + std::to_string(p->domid) : std::string(wire_name(p.error()));
}

std::uint8_t access(const char *list, std::uint32_t domid, std::optional<std::uint32_t> target = {})
{
    const PermsRef p = PermList::from_text(list);
    REQUIRE(p);
    return access_of(*p, {domid, target, false});
}

} // namespace

TEST_CASE("perms: an entry as C's strtol reads it")
{
    CHECK(parsed("n0") == "n0");
    CHECK(parsed("r5") == "r5");
    CHECK(parsed("w65535") == "w65535");
    CHECK(parsed("b0x1F") == "b31");
    CHECK(parsed("b0X7ff5") == "b32757");
    CHECK(parsed("r010") == "r8");
    CHECK(parsed("r00") == "r0");
    CHECK(parsed("r+5") == "r5");
    CHECK(parsed("r-0") == "r0");
    CHECK(parsed("r \t\n\v\f\r5") == "r5");
    CHECK(parsed("r +0x5") == "r5");
    CHECK(parsed("r000000000000000000000000000000000000001") == "r1");
}

TEST_CASE("perms: bad entries")
{
    for (const char *bad :
         {"",      "r",     "5",      "x5",       "R5",   "r5 ",  "r5x",
          "r-5",   "r-1",   "r65536", "r0x10000", "r08",  "r0x",  "r0xg",
          "r+",    "r-",    "r ",     "r+-5",     "r+ 5", "r--5", "r99999999999999999999999999",
          "r0x+5", "r0x 5", "rr5",    "r5!",      "r1.0", "r0b1"})
        CHECK_MESSAGE(parsed(bad) == "EINVAL", bad);
    CHECK(parsed(std::string_view("r5\0", 3)) == "EINVAL");
}

TEST_CASE("perms: text form there and back")
{
    const PermsRef p =
        PermList::make({{0, kNone, false}, {5, kRead, false}, {7, kWrite, true}, {65535, kBoth, false}});
    CHECK(p->text() == "n0,r5,w7!,b65535");
    CHECK(p->owner() == 0);
    const PermsRef q = PermList::from_text(p->text());
    REQUIRE(q);
    CHECK(q->entries() == p->entries());
    CHECK(same_perms(p, q));
    CHECK_FALSE(same_perms(p, PermList::from_text("n0,r5,w7,b65535")));
}

TEST_CASE("perms: malformed text")
{
    for (const char *bad : {"", ",", "n", "n0,", ",n0", "n0,,r1", "x0", "n65536", "n-1", "n00", "n01", "n0 ",
                            "n0!", "n0,r!", "n0,r1!!", "n0x1", "n+1", "0", "n0;r1"})
        CHECK_MESSAGE(!PermList::from_text(bad), bad);
}

TEST_CASE("perms: another owner")
{
    const PermsRef p = PermList::from_text("r0,w5,b7!");
    CHECK(p->with_owner(3)->text() == "r3,w5,b7!");
    CHECK(p->text() == "r0,w5,b7!");
    CHECK(p->with_owner(0) == p);
}

TEST_CASE("perms: order of evaluation")
{
    // privileged first
    CHECK(access_of(*PermList::from_text("n5,n9"), {9, {}, true}) == kBoth);
    // owner, whatever the letter and the entries say
    CHECK(access("n5,n5", 5) == kBoth);
    // entries before the default
    CHECK(access("b0,n5", 5) == kNone);
    CHECK(access("n0,w5", 5) == kWrite);
    CHECK(access("n0,w5", 6) == kNone);
    CHECK(access("r0", 6) == kRead);
    // the first match wins, rights are not added up
    CHECK(access("n0,r5,w5", 5) == kRead);
    CHECK(access("n0,w5,r5", 5) == kWrite);
}

TEST_CASE("perms: a stub domain has its target's rights")
{
    CHECK(access("n5", 9, 5) == kBoth);
    CHECK(access("n0,r5", 9, 5) == kRead);
    CHECK(access("n0,r5,w9", 9, 5) == kRead);
    CHECK(access("n0,w9,r5", 9, 5) == kWrite);
    CHECK(access("n0,r5", 9, 6) == kNone);
}

TEST_CASE("perms: XSA-322, stale entries match nobody")
{
    CHECK(access("n0,b5!", 5) == kNone);
    CHECK(access("n0,b5!,r5", 5) == kRead);
    CHECK(access("r0,n5!", 5) == kRead);
    CHECK(access("n0,b5!", 9, 5) == kNone);
    CHECK(access("n0,r32757!", 5) == kNone);
}

TEST_CASE("perms: DOMID_ANY as an entry is everybody, as an owner nobody")
{
    CHECK(access("n0,r32757", 5) == kRead);
    CHECK(access("n0,w5,r32757", 5) == kWrite);
    CHECK(access("n0,r32757,w5", 5) == kRead);
    CHECK(access("n32757", 5) == kNone);
}

TEST_CASE("perms: who owns")
{
    const PermsRef p = PermList::from_text("n5,b6");
    CHECK(is_owner(*p, {5, {}, false}));
    CHECK(is_owner(*p, {9, 5, false}));
    CHECK(is_owner(*p, {0, {}, true}));
    CHECK_FALSE(is_owner(*p, {6, {}, false}));
    CHECK_FALSE(is_owner(*p, {0, {}, false}));
}
