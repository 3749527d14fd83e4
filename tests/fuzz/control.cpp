// SPDX-License-Identifier: MIT
// CONTROL with any words; the input's lines are commands, their words separated by blanks.
#include "world.hpp"

using namespace xsgit::server::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    World w;
    std::string_view rest = Input(data, size).all();
    for (int n = 0; n < 100 && !rest.empty(); ++n) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string words(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        for (char &c : words)
            if (c == ' ')
                c = '\0';
        w.request(1, 0, 0, words + '\0');
        w.request(1, 0, 0, words);
    }
    w.check();
    return 0;
}
