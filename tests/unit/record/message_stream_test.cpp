// SPDX-License-Identifier: MIT
// Messages out of bytes, however these are cut.
#include "bisect/record/message_stream.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace xsgit;
using namespace xsgit::record;
using namespace std::string_literals;

namespace {

std::string message(std::uint32_t type, const std::string &payload, std::uint32_t req_id = 7)
{
    std::string wire(kHeaderSize, '\0');
    server::write_header({type, req_id, 1, static_cast<std::uint32_t>(payload.size())}, wire.data());
    return wire + payload;
}

std::vector<std::string> cut(MessageStream &stream, const std::string &bytes, std::size_t step)
{
    std::vector<std::string> out;
    for (std::size_t at = 0; at < bytes.size(); at += step)
        stream.feed(std::string_view(bytes).substr(at, step),
                    [&](const server::Header &h, std::string_view payload) {
                        out.push_back(message(h.type, std::string(payload), h.req_id));
                    });
    return out;
}

} // namespace

TEST_CASE("messages are the same wherever the bytes are cut")
{
    const std::vector<std::string> sent = {message(2, "/a\0"s), message(1, ""),
                                           message(11, std::string(4096, 'v')), message(16, "ENOENT\0"s, 8)};
    std::string bytes;
    for (const std::string &m : sent)
        bytes += m;
    for (const std::size_t step : {1ul, 2ul, 15ul, 16ul, 17ul, 100ul, 4112ul, 100000ul}) {
        MessageStream stream;
        CHECK(cut(stream, bytes, step) == sent);
        CHECK(stream.left() == 0);
        CHECK_FALSE(stream.lost());
    }
}

TEST_CASE("half a message is counted")
{
    MessageStream stream;
    CHECK(cut(stream, message(2, "/a\0"s) + message(2, "/b\0"s).substr(0, 18), 5).size() == 1);
    CHECK(stream.left() == 18);
}

TEST_CASE("a length that no message has ends it, and what comes then is only counted")
{
    std::string hostile(kHeaderSize, '\0');
    server::write_header({2, 0, 0, 4097}, hostile.data());
    for (const std::size_t step : {1ul, 16ul, 1000ul}) {
        MessageStream stream;
        CHECK(cut(stream, message(2, "/a\0"s) + hostile + message(2, "/b\0"s), step).size() == 1);
        CHECK(stream.lost());
        CHECK(stream.announced() == 4097);
        CHECK(stream.left() == 16 + 19);
    }
}
