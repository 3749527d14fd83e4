// SPDX-License-Identifier: MIT
// Record by record, so that any length will do.
#include "bisect/record_show.hpp"

#include "bisect/record/input.hpp"
#include "bisect/record/json.hpp"
#include "inspect/failure.hpp"
#include "inspect/tool.hpp"
#include "xsgit/base/escape.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"

#include <fmt/core.h>

namespace xsgit::record {

namespace {

using inspect::kDiffers, inspect::kNoRepository, inspect::kOk, inspect::ToolFailure;

void show_record(const session::Record &r, bool json)
{
    inspect::print(json ? inspect::json_line(record_json(r)) : session::line(r) + "\n");
}

void say(const std::string &path, const std::string &what)
{
    fmt::print(stderr, "xs-record: {}: {}\n", escape(path), what);
}

int show_all(session::Reader &reader, const std::string &path, bool json)
{
    show_record({0, reader.meta()}, json);
    try {
        while (const auto r = reader.next())
            show_record(*r, json);
    } catch (const session::SessionDamaged &e) {
        inspect::flush();
        say(path, fmt::format("{}; all before it is good", e.what()));
        return kDiffers;
    }
    if (!reader.complete()) {
        inspect::flush();
        say(path, "there is no end mark: its recorder was killed, or is still at it");
    }
    return kOk;
}

} // namespace

int show(const std::string &path, bool json)
{
    Input input(path);
    try {
        session::Reader reader(input.source());
        return show_all(reader, path, json);
    } catch (const session::NotASession &e) {
        throw ToolFailure(kNoRepository, fmt::format("{}: {}", escape(path), e.what()));
    }
}

} // namespace xsgit::record
