// SPDX-License-Identifier: MIT
// What the tests of the tree share.
#pragma once

#include "tests/unit/support/allocations.hpp"
#include "xsgit/tree/node.hpp"

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace xsgit::test {

inline PermsRef perms(const char *text = "n0") { return PermList::from_text(text); }

inline NodeRef node(std::string_view name, std::string_view value = {})
{
    static const PermsRef p = perms();
    return Node::make(name, Bytes::make(value), p);
}

inline std::vector<std::string> names(const Children &c)
{
    std::vector<std::string> v;
    for (auto it = c.begin(); it.get(); it.next())
        v.emplace_back(it.get()->name());
    return v;
}

/// n children "n0", "n1", …, in the order in which a counter makes them.
inline Children numbered(std::size_t n)
{
    Children c;
    for (std::size_t i = 0; i < n; ++i)
        c = std::move(c).with(node("n" + std::to_string(i)));
    return c;
}

/// XSGIT_TEST_SEED repeats a run; tests print it when they fail.
inline std::uint64_t seed()
{
    const char *s = std::getenv("XSGIT_TEST_SEED");
    return s ? std::strtoull(s, nullptr, 0) : 20240229;
}

/// Not std::uniform_int_distribution: that differs between standard libraries.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    bool one_in(std::size_t n) { return below(n) == 0; }

private:
    std::mt19937_64 engine_;
};

} // namespace xsgit::test
