// SPDX-License-Identifier: MIT
// Session files. The input is one as it stands; and, as a reader of damage stops at the first wrong check, it is also the
// bodies of records (kind, length, bytes) that are framed with a correct one. Whatever is read must be written again
// and read back the same; and it is played, in its own and in another order.
#include "bisect/replay/record_again.hpp"
#include "bisect/replay/replay.hpp"
#include "world.hpp"
#include "xsgit/session/codec.hpp"
#include "xsgit/session/frame.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"
#include "xsgit/session/writer.hpp"

#include <vector>

using namespace xsgit::session;
using xsgit::server::fuzz::Input;
using xsgit::server::fuzz::require;

namespace {

std::vector<Record> read_all(std::string_view bytes, Meta &meta)
{
    std::vector<Record> records;
    try {
        Reader r(bytes);
        meta = r.meta();
        while (auto record = r.next()) {
            for (const char c : line(*record))
                require(c >= ' ' && c <= '~', "a line that is no printable ASCII");
            records.push_back(std::move(*record));
        }
    } catch (const NotASession &) {
    } catch (const SessionDamaged &) {
    }
    return records;
}

void play(const xsgit::replay::Script &script)
{
    using namespace xsgit::replay;
    Answers answers;
    ReplayOptions options;
    options.after = [&](const Step &, const std::vector<Received> &came) { answers.push_back(came); };
    EngineTarget engine(script);
    replay(script, engine, options);
    require(answers.size() == script.steps.size(), "steps were left out");
    std::string written;
    write_session(script, answers, [&](std::string_view part) { written += part; });
    require(test_case(script, answers, "x").starts_with("== x\n"), "no test case");
    options = {};
    options.check = true;
    EngineTarget again(script);
    replay(script, again, options);
}

void judge(std::string_view bytes)
{
    Meta meta;
    const std::vector<Record> records = read_all(bytes, meta);
    std::string again;
    Writer w(meta, [&](std::string_view part) { again += part; });
    for (const Record &r : records)
        w.add(r);
    require(read_all(again, meta) == records, "read back otherwise than written");
    try {
        xsgit::replay::ScriptBuilder builder;
        builder.add({0, meta}, 1);
        for (std::size_t i = 0; i < records.size(); ++i)
            builder.add(records[i], i + 2);
        const xsgit::replay::Script script = std::move(builder).finish();
        play(script);
        play(reinterleave(script, 1));
    } catch (const xsgit::replay::NotPlayable &) {
    }
}

void put_check(std::string &to, std::uint32_t check)
{
    for (std::size_t i = 0; i < kCheckBytes; ++i)
        to += static_cast<char>(check >> (8 * i));
}

std::string framed(Input in)
{
    std::string file(kMagic);
    file += std::string_view("\1\0\0\0", 4);
    std::uint32_t check = check_of(0, file);
    put_check(file, check);
    std::string record("\1\4\0\0\0\0", 6); // a description of nothing
    do {
        check = check_of(check, record);
        file += record;
        put_check(file, check);
        const std::uint8_t kind = in.byte();
        const std::string_view body = in.take(in.byte());
        record.assign(1, static_cast<char>(kind & 0x1f ? kind & 0x1f : kind));
        put_varint(record, body.size());
        record += body;
    } while (!in.empty());
    return file;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    judge(Input(data, size).all());
    judge(framed(Input(data, size)));
    return 0;
}
