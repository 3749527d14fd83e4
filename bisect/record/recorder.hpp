// SPDX-License-Identifier: MIT
// From the bytes of connections to the records of a session.
#pragma once

#include "bisect/record/message_stream.hpp"
#include "bisect/record/redaction.hpp"
#include "bisect/record/session_file.hpp"

#include <cstdint>
#include <unordered_map>

namespace xsgit::record {

enum class From { Client, Daemon };

class Recorder {
public:
    /// All must outlive this.
    Recorder(SessionFile &file, const Redaction &redaction) : file_(file), redaction_(redaction) {}

    // Times are µs since the begin. Every call throws what SessionFile throws.
    void opened(std::uint64_t at_us, const session::Opened &opened);
    /// One that the file knows of already.
    void known(const session::Opened &opened);
    /// Bytes that one side has sent, in order, cut anywhere. What is no message is told in a note, once.
    void bytes(std::uint64_t at_us, std::uint64_t conn, From from, std::string_view bytes);
    void closed(std::uint64_t at_us, std::uint64_t conn);
    /// A whole message; `message.conn` must be open. What is to be hidden is made unreadable.
    void message(std::uint64_t at_us, From from, session::Message message);
    /// The same, with facts.
    void request(std::uint64_t at_us, session::Request request);

private:
    struct Connection {
        MessageStream streams[2]; // by From
        ConnectionRedaction redaction;
    };
    void leftover(std::uint64_t at_us, std::uint64_t conn, From from, const MessageStream &stream);

    SessionFile &file_;
    const Redaction &redaction_;
    std::unordered_map<std::uint64_t, Connection> connections_;
};

} // namespace xsgit::record
