// SPDX-License-Identifier: MIT
// One loop for all kinds of logs.
#include "bisect/record/import/import.hpp"

#include "bisect/record/import/c_trace.hpp"
#include "bisect/record/import/oxenstored.hpp"
#include "bisect/record/import/strace.hpp"

#include <stdexcept>

namespace xsgit::record {

namespace {

constexpr std::size_t kLooked = 100; // lines, to find out what it is

LogKind kind_of(std::string_view line)
{
    if (CTrace::recognizes(line))
        return LogKind::CTrace;
    if (OxenstoredLog::recognizes(line))
        return LogKind::Oxenstored;
    return Strace::recognizes(line) ? LogKind::Strace : LogKind::Auto;
}

template <class Parser>
Imported import_as(const std::vector<std::string> &first, Lines &lines, const FileOptions &file,
                   const Redaction &redaction)
{
    Target target(file, redaction, Parser::kSource, Parser::kAbout);
    Parser parser(target);
    for (const std::string &line : first)
        parser.line(line);
    for (std::string_view line; lines.next(line);)
        parser.line(line);
    parser.finish();
    Imported out{Parser::kSource, lines.number(), target.messages(), Parser::kAbout, {}};
    out.notes = target.finish();
    return out;
}

} // namespace

Imported import_log(LogKind kind, Lines::Source source, const FileOptions &file, const Redaction &redaction)
{
    Lines lines(std::move(source));
    std::vector<std::string> first;
    for (std::string_view line; kind == LogKind::Auto && first.size() < kLooked && lines.next(line);) {
        first.emplace_back(line);
        kind = kind_of(line);
    }
    switch (kind) {
    case LogKind::Strace:
        return import_as<Strace>(first, lines, file, redaction);
    case LogKind::CTrace:
        return import_as<CTrace>(first, lines, file, redaction);
    case LogKind::Oxenstored:
        return import_as<OxenstoredLog>(first, lines, file, redaction);
    case LogKind::Auto:
        break;
    }
    throw std::runtime_error("this is none of the logs that are known, or nothing in its first 100 lines "
                             "says so: name its kind with "
                             "--from");
}

} // namespace xsgit::record
