// SPDX-License-Identifier: MIT
#include "server/daemon/domain_news.hpp"

#include <doctest/doctest.h>

using namespace xsgit::server;

namespace {
using Known = State::KnownDomain;
using Texts = std::vector<std::string>;
} // namespace

TEST_CASE("only what the state does not know yet is news")
{
    const std::vector<Known> known = {{0, 0, true, false},    {1, 0xa, true, false},  {2, 0xb, true, false},
                                      {3, 0xc, true, true},   {4, 0xd, false, false}, {5, 0xe, true, false},
                                      {6, 0xf, false, false}, {7, 0, true, false}};
    CHECK(
        news_of(
            known,
            {{0, 0}, {1, 0xa}, {2, 0xb}, {3, 0xc, true}, {4, 0xd, true}, {5, 0xe}, {6, 0xf}, {7, 7}, {9, 9}})
            .empty());
    CHECK(news_of(
              known,
              {{0, 0}, {1, 0xa, true}, {2, 0xb, false, true}, {3, 0xc, true}, {5, 0x77}, {6, 0xf}, {7, 0}}) ==
          Texts{"1 a shutdown;2 b dead;4 d dead;5 77 alive"});
    CHECK(news_of({{0, 0, true, false}}, {}).empty()); // the control domain does not die before us
}

TEST_CASE("a domain whose page we hold has only been given another id")
{
    const std::vector<Known> known = {{1, 0xa, true, false}, {2, 0xb, true, false}, {3, 0xc, true, false}};
    CHECK(news_of(known, {{1, 0x1a}, {2, 0x1b, true}, {3, 0x1c}}, {1, 2}) ==
          Texts{"1 1a same;2 1b same;2 1b shutdown;3 1c alive"});
    CHECK(news_of(known, {{1, 0xa}, {2, 0xb}, {3, 0xc}}, {1, 2, 3}).empty());
    CHECK(news_of({{1, 0xa, true, false}}, {}, {1}) == Texts{"1 a dead"});
}

TEST_CASE("much news is told in several events")
{
    std::vector<Known> known;
    for (std::uint32_t d = 1; d <= 3000; ++d)
        known.push_back({d, 0xfedcba9876543210, true, false});
    const Texts texts = news_of(known, {});
    CHECK(texts.size() > 3);
    std::size_t n = 0;
    for (const std::string &t : texts) {
        CHECK(t.size() < 12000);
        n += parse_news(t).size();
    }
    CHECK(n == 3000);
}
