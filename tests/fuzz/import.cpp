// SPDX-License-Identifier: MIT
// Logs that are imported: the first byte says of which kind, the rest is the log. Whatever it is, it is read to its end or
// refused in words.
#include "bisect/record/import/import.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <stdexcept>

using namespace xsgit::record;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    if (size == 0)
        return 0;
    constexpr LogKind kinds[] = {LogKind::Auto, LogKind::Strace, LogKind::CTrace, LogKind::Oxenstored};
    std::string_view rest(reinterpret_cast<const char *>(data) + 1, size - 1);
    const auto source = [&](char *to, std::size_t n) {
        n = std::min(n, rest.size());
        std::memcpy(to, rest.data(), n);
        rest.remove_prefix(n);
        return n;
    };
    FileOptions nowhere{"/dev/null"};
    nowhere.replace = true;
    const Redaction redaction({"*/secret"});
    try {
        import_log(kinds[data[0] % std::size(kinds)], source, nowhere, redaction);
    } catch (const std::runtime_error &) { // it says what is wrong
    }
    return 0;
}
