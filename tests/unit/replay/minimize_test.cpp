// SPDX-License-Identifier: MIT
// Delta debugging: what stays fails, and nothing of it can be left out.
#include "bisect/replay/minimize.hpp"
#include "bisect/replay/replay.hpp"
#include "support.hpp"

#include <algorithm>
#include <random>

using namespace xsgit::replay;
using namespace xsgit::replay::test;

namespace {

bool has_all(const std::vector<std::size_t> &part, const std::vector<std::size_t> &wanted)
{
    return std::includes(part.begin(), part.end(), wanted.begin(), wanted.end());
}

} // namespace

TEST_CASE("minimize: exactly what is needed stays, in few tries")
{
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        const std::size_t n = 1 + random() % 2000;
        std::vector<std::size_t> wanted;
        for (std::size_t i = random() % 5; i > 0; --i)
            wanted.push_back(random() % n);
        std::sort(wanted.begin(), wanted.end());
        wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
        std::size_t runs = 0;
        const auto part = smallest_part(
            n, [&](const auto &p) { return ++runs, has_all(p, wanted); }, [] { return false; });
        CHECK(part == wanted);
        CHECK(runs < 200);
    }
}

TEST_CASE("minimize: what fails in several ways ends in one of them")
{
    const auto fails = [](const std::vector<std::size_t> &p) {
        return has_all(p, {3, 5}) || has_all(p, {40});
    };
    const auto part = smallest_part(100, fails, [] { return false; });
    CHECK(fails(part));
    for (const std::size_t out : part) {
        auto rest = part;
        std::erase(rest, out);
        CHECK(!fails(rest));
    }
}

TEST_CASE("minimize: it stops when it is told to, with something that fails")
{
    int left = 5;
    const auto fails = [](const std::vector<std::size_t> &p) { return has_all(p, {70, 80}); };
    CHECK(fails(smallest_part(100, fails, [&] { return left-- == 0; })));
}

TEST_CASE("minimize: of a session the connections go that are not needed, and what stays can be played")
{
    Said said;
    for (std::uint64_t conn = 1; conn <= 8; ++conn)
        said.open(conn);
    for (int n = 0; n < 400; ++n)
        said.write(1 + static_cast<std::uint64_t>(n) % 8, "/n" + std::to_string(n), "v");
    said.close(4);
    const Script s = said.script();
    const auto fails = [](const Script &candidate) {
        EngineTarget engine(candidate);
        replay(candidate, engine, {}); // must not throw
        const auto all = asked(candidate);
        return std::count(all.begin(), all.end(), "4:/n3|v") &&
               std::count(all.begin(), all.end(), "6:/n125|v");
    };
    const Minimized m = minimize(s, fails, 100000);
    CHECK(m.single);
    CHECK(asked(m.script) == std::vector<std::string>{"4:/n3|v", "6:/n125|v"});
    CHECK(m.script.steps.size() == 5); // two opened, one closed
    CHECK(m.runs < 100);
    const Minimized early = minimize(s, fails, 3);
    CHECK(!early.single);
    CHECK(fails(early.script));
}
