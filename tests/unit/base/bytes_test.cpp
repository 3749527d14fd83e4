// SPDX-License-Identifier: MIT
#include "xsgit/base/bytes.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace xsgit;

TEST_CASE("bytes: the empty string is null")
{
    CHECK_FALSE(Bytes::make(""));
    CHECK(view(Bytes::make("")) == "");
}

TEST_CASE("bytes: keep every byte, and copies share")
{
    const std::string s("a\0b\xff\n", 5);
    const BytesRef a = Bytes::make(s);
    CHECK(view(a) == s);
    CHECK(a->ref_count() == 1);
    {
        const BytesRef b = a;
        CHECK(a->ref_count() == 2);
        CHECK(b->view().data() == a->view().data());
    }
    CHECK(a->ref_count() == 1);
}

TEST_CASE("bytes: any length")
{
    for (std::size_t n : {1u, 7u, 8u, 9u, 4096u, 100000u}) {
        const std::string s(n, 'x');
        CHECK(view(Bytes::make(s)) == s);
    }
}
