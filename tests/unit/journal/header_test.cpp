// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <system_error>

using namespace xsgit;
using namespace xsgit::test;

namespace {

/// A journal with freed records and 20 kept ones.
std::string make(const std::string &path)
{
    auto j = Journal::create(path, kRing);
    Journal::Position p;
    for (int i = 0; i < 30; ++i)
        REQUIRE(append_next(*j));
    for (int i = 0; i < 10; ++i)
        REQUIRE(j->next(p));
    j->free_to(p);
    return read_file(path).substr(0, kHeaderPage);
}

} // namespace

TEST_CASE("header: files that are no journals")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    CHECK_THROWS_AS(Journal::open(path), std::system_error);
    poke(path, 0, "");
    CHECK_THROWS_AS(Journal::open(path), JournalDamaged);
    poke(path, 0, std::string(kHeaderPage + kRing, '\0'));
    CHECK_THROWS_AS(Journal::open(path), JournalDamaged);
    CHECK_THROWS_AS(Journal::open(path, true), JournalDamaged);
    poke(path, 0, std::string(kHeaderPage + kRing, '\xff'));
    CHECK_THROWS_AS(Journal::open(path), JournalDamaged);
    CHECK_THROWS_AS(Journal::open("/dev/null"), JournalDamaged);
}

TEST_CASE("header: a file of another length")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    make(path);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{7}, kHeaderPage, kRing, kRing + kHeaderPage - 1,
          kRing + kHeaderPage + 1, kRing + 2 * kHeaderPage}) {
        REQUIRE(::truncate(path.c_str(), static_cast<off_t>(size)) == 0);
        CHECK_THROWS_AS(Journal::open(path), JournalDamaged);
    }
}

TEST_CASE("header: every flipped bit of magic, versions, capacity and checksum")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    const std::string good = make(path);
    for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
        poke(path, bit / 8, std::string(1, static_cast<char>(good[bit / 8] ^ 1 << bit % 8)));
        CHECK_THROWS_AS(Journal::open(path), JournalDamaged);
        CHECK_THROWS_AS(Journal::open(path, true), JournalDamaged);
        poke(path, bit / 8, good.substr(bit / 8, 1));
    }
    CHECK(Journal::open(path)->repair() == "");
}

TEST_CASE("header: flipped bits of head and tail are refused, repaired, or of no consequence")
{
    const TempDir dir;
    const std::string path = dir / "journal";
    const std::string good = make(path);
    int refused = 0, repaired = 0;
    for (const std::size_t cell : {64u, 128u})
        for (std::size_t bit = cell * 8; bit < (cell + sizeof(PositionCell)) * 8; ++bit) {
            poke(path, bit / 8, std::string(1, static_cast<char>(good[bit / 8] ^ 1 << bit % 8)));
            try {
                auto j = Journal::open(path);
                repaired += j->repair() != "";
                CHECK(j->repair() == "");
                Journal::Position p = j->tail();
                while (const auto e = j->next(p))
                    CHECK(is_sample(*e));
                // The wrong copy may be taken (then it is one step old), nothing worse.
                CHECK(p.number <= 31);
                REQUIRE(append_next(*j));
                CHECK(j->repair() == "");
            } catch (const JournalDamaged &) {
                ++refused;
            }
            std::filesystem::remove(path);
            CHECK(make(path) == good);
        }
    CHECK(refused > 0);
    CHECK(repaired > 0);
}
