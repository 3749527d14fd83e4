// SPDX-License-Identifier: MIT
#include "xsgit/git/tree_hash.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>

using namespace xsgit;

TEST_CASE("ids of long trees are those of their bytes, whatever was hashed before")
{
    std::mt19937 random(11);
    for (const std::size_t size : {0u, 20u, 1023u, 1024u, 1025u, 1536u, 3000u, 8191u}) {
        std::string content(size, 'x');
        Ref<const HashMarks> marks;
        CHECK(hash_tree(content, 0, marks) == hash_object(ObjectType::Tree, content));
        for (int i = 0; i < 300; ++i) {
            const Ref<const HashMarks> of_another_version = marks;
            std::size_t at = content.empty() ? 0 : random() % content.size();
            switch (random() % 8) {
            case 0: // longer
                content.insert(at, 28, 'n');
                break;
            case 1: // shorter
                content.erase(at, 28);
                break;
            case 2: // nothing but a hint
                break;
            default:
                for (std::size_t k = at; k < std::min(at + 20, content.size()); ++k)
                    content[k] = static_cast<char>(random());
            }
            if (random() % 4 == 0)
                at = random() % (at + 1); // less than is the same
            CHECK(hash_tree(content, at, marks) == hash_object(ObjectType::Tree, content));
            if (random() % 16 == 0)
                marks = nullptr;
            else if (random() % 16 == 0 && i % 2 == 0)
                CHECK(hash_tree(content, 0, marks = of_another_version) ==
                      hash_object(ObjectType::Tree, content));
        }
    }
}
