// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_text.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>

using namespace xsgit;
namespace tt = xsgit::tree_text;

namespace {

Oid id_of_number(unsigned n)
{
    // Bytes that look like modes, names and ends of names.
    Oid id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i)
        id.bytes[i] = static_cast<std::uint8_t>("40000 a\0/"[(n + i) % 9] + (n >> (i % 8) & 1));
    return id;
}

} // namespace

namespace {

/// `at`: npos if they are the same.
bool same_up_to(const std::string &before, const std::string &after, std::size_t at)
{
    return at == std::string::npos ? before == after : before.compare(0, at, after, 0, at) == 0;
}

} // namespace

TEST_CASE("entries are set, found and erased in git's order")
{
    // The order is that of the names with "/" behind a tree's.
    std::map<std::string, Oid> model;
    std::string content;
    std::mt19937 random(5);
    const std::string letters = "ab-0/"; // "/" stands for none
    for (unsigned step = 0; step < 20'000; ++step) {
        std::string name = random() % 3 ? "" : "abbaabba"; // about the eight bytes that are compared at once
        for (unsigned n = 1 + static_cast<unsigned>(random() % 9); n > 0; --n)
            if (const char c = letters[random() % letters.size()]; c != '/')
                name += c;
        if (name.empty())
            continue;
        const bool tree = random() % 2;
        const std::string key = tree ? name + "/" : name;
        const Oid id = id_of_number(step % 64);
        const std::string before = content;
        if (random() % 2) {
            const bool changes = !model.contains(key) || model[key] != id;
            const std::size_t at = tt::set(content, name, tree, id);
            CHECK((at != std::string::npos) == changes);
            CHECK(same_up_to(before, content, at));
            model[key] = id;
            CHECK(tt::id_of(content, name, tree) == id);
        } else {
            const std::size_t at = tt::erase(content, name, tree);
            CHECK((at != std::string::npos) == (model.erase(key) == 1));
            CHECK(same_up_to(before, content, at));
            CHECK(tt::find(content, name, tree) == std::string::npos);
            CHECK(tt::id_of(content, name, tree).is_null());
        }
        if (step % 100 == 0) {
            std::string expected;
            for (const auto &[k, v] : model)
                tt::append(expected, k.ends_with('/') ? k.substr(0, k.size() - 1) : k, k.ends_with('/'), v);
            CHECK(content == expected);
        }
    }
}

TEST_CASE("a reader tells trees from other bytes")
{
    std::string content;
    tt::append(content, "a", true, id_of_number(1));
    tt::append(content, "b", false, id_of_number(2));
    tt::Reader good(content);
    tt::Entry e;
    CHECK(good.next(e));
    CHECK((e.name == "a" && e.tree && e.id == id_of_number(1)));
    CHECK(good.next(e));
    CHECK((e.name == "b" && !e.tree && e.id == id_of_number(2)));
    CHECK(!good.next(e));
    CHECK(!good.malformed());
    const auto is_bad = [](const std::string &s) {
        tt::Reader r(s);
        tt::Entry one;
        while (r.next(one))
            ;
        return r.malformed();
    };
    for (std::size_t n = 1; n < content.size(); ++n)
        CHECK(is_bad(content.substr(0, n)) == (n != 28));
    CHECK(is_bad("100755 a" + content.substr(7)));
    CHECK(is_bad("40000 " + std::string(21, '\0')));
    CHECK(!is_bad(""));
}
