// SPDX-License-Identifier: MIT
#include "xsgit/git/oid.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace xsgit;

TEST_CASE("Oid: hex and back")
{
    const std::string hex = "0123456789abcdef00ff10a0b0c0d0e0f0123456";
    const auto id = Oid::from_hex(hex);
    REQUIRE(id);
    CHECK(id->hex() == hex);
    CHECK(Oid::from_hex("0123456789ABCDEF00FF10A0B0C0D0E0F0123456") == id);
    CHECK_FALSE(id->is_null());
    CHECK(Oid{}.is_null());
    CHECK(Oid{}.hex() == std::string(40, '0'));
    CHECK_FALSE(Oid::from_hex(hex.substr(1)));
    CHECK_FALSE(Oid::from_hex(hex + "0"));
    CHECK_FALSE(Oid::from_hex("g" + hex.substr(1)));
    CHECK_FALSE(Oid::from_hex(""));
}

TEST_CASE("hash_object: ids that git gives")
{
    CHECK(hash_object(ObjectType::Tree, "").hex() == "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    CHECK(hash_object(ObjectType::Blob, "").hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    CHECK(hash_object(ObjectType::Blob, "hello\n").hex() == "ce013625030ba8dba906f756967f9e9ca394464a");
    CHECK(hash_guest_blob("").hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    CHECK(hash_guest_blob(std::string_view()).hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    CHECK(hash_guest_blob("hello\n").hex() == "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST_CASE("hash_object and hash_guest_blob agree on every length")
{
    std::mt19937 random(1);
    std::string content;
    for (const std::size_t size : {1u, 9u, 10u, 55u, 56u, 57u, 63u, 64u, 65u, 99u, 100u, 4096u, 70000u}) {
        while (content.size() < size)
            content.push_back(static_cast<char>(random()));
        CAPTURE(size);
        CHECK(hash_object(ObjectType::Blob, content) == hash_guest_blob(content));
        CHECK(hash_object(ObjectType::Blob, content) != hash_object(ObjectType::Tree, content));
    }
}
