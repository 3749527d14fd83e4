// SPDX-License-Identifier: MIT
// Logs as texts, sessions as lines.
#pragma once

#include "bisect/record/import/import.hpp"
#include "tests/unit/daemon/temp_dir.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

struct ImportedText {
    std::vector<std::string> lines; // of the session but for the first and the last
    std::vector<std::string> notes; // what the user is told
};

inline xsgit::record::Lines::Source text_source(std::string text, std::size_t step = 1000)
{
    return [text = std::move(text), step](char *to, std::size_t n) mutable {
        n = std::min({n, step, text.size()});
        std::memcpy(to, text.data(), n);
        text.erase(0, n);
        return n;
    };
}

inline ImportedText imported(const std::string &log,
                             xsgit::record::LogKind kind = xsgit::record::LogKind::Auto,
                             std::vector<std::string> redact = {})
{
    using namespace xsgit;
    const TempDir dir;
    const record::Redaction redaction(std::move(redact));
    ImportedText out;
    out.notes = record::import_log(kind, text_source(log), {dir / "s"}, redaction).notes;
    std::ifstream in(dir / "s", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    session::Reader reader(bytes);
    while (const auto r = reader.next())
        out.lines.push_back(session::line(*r));
    if (!out.lines.empty())
        out.lines.pop_back();
    return out;
}
