// SPDX-License-Identifier: MIT
// Sessions in a few words.
#pragma once

#include "bisect/replay/script.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/session/rules.hpp"

#include <doctest/doctest.h>
#include <string>

namespace xsgit::replay::test {

/// Builds a script through records, as reading a file does, and holds to the rules of files.
class Said {
public:
    Said() { add(session::Meta{1'700'000'000'000'000, "tap", ""}); }

    Said &open(std::uint64_t conn, std::optional<std::uint32_t> pid = std::nullopt)
    {
        return add(session::Opened{conn, false, session::Transport::Socket, 0, pid, 0, "test"});
    }
    Said &close(std::uint64_t conn) { return add(session::Closed{conn}); }
    Said &request(std::uint64_t conn, server::MsgType type, std::string payload, std::uint32_t tx = 0)
    {
        return add(
            session::Request{{conn, static_cast<std::uint32_t>(type), 1, tx, false, std::move(payload)}, ""});
    }
    Said &reply(std::uint64_t conn, server::MsgType type, std::string payload, std::uint32_t tx = 0)
    {
        return add(
            session::Reply{{conn, static_cast<std::uint32_t>(type), 1, tx, false, std::move(payload)}});
    }
    Said &write(std::uint64_t conn, const std::string &path, const std::string &value)
    {
        request(conn, server::MsgType::Write, path + '\0' + value);
        return reply(conn, server::MsgType::Write, std::string("OK\0", 3));
    }
    Said &event(std::uint64_t conn, std::string payload)
    {
        return add(session::Event{{conn, static_cast<std::uint32_t>(server::MsgType::WatchEvent), 0, 0, false,
                                   std::move(payload)}});
    }
    Said &add(session::Body body)
    {
        REQUIRE(rules_.refuse(body).empty());
        builder_.add({1000 * number_, std::move(body)}, number_);
        ++number_;
        return *this;
    }
    Script script() { return std::move(builder_).finish(); }

private:
    session::Rules rules_;
    ScriptBuilder builder_;
    std::uint64_t number_ = 1;
};

/// "1:/a|x", what the steps ask, in order.
inline std::vector<std::string> asked(const Script &s)
{
    std::vector<std::string> out;
    for (const Step &step : s.steps)
        if (const auto *r = step.request()) {
            std::string payload = r->payload;
            for (char &c : payload)
                if (c == '\0')
                    c = '|';
            out.push_back(std::to_string(r->conn) + ":" + payload);
        }
    return out;
}

} // namespace xsgit::replay::test
