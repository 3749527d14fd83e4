// SPDX-License-Identifier: MIT
// What a session is made of: the messages between a xenstored and its clients, in the order in which they were seen.
// The file format is described in xsgit-session(5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace xsgit::session {

inline constexpr std::uint16_t kVersion = 1;
/// Bytes of a record's body; every text in it has a smaller limit of its own. More is refused, by writer and reader.
inline constexpr std::size_t kBodyMax = 32768;
inline constexpr std::size_t kPathTextMax = 4096; // paths, watch tokens, values, payloads, permission lists
inline constexpr std::size_t kFactsMax = 8192;
inline constexpr std::size_t kWordsMax = 1024; // source, daemon, notes, names of processes
/// Connections open at the same time.
inline constexpr std::size_t kOpenMax = 65536;
/// Microseconds since the begin: about 30 years.
inline constexpr std::uint64_t kTimeMax = 1'000'000'000'000'000;

/// The first record of every session, and only there.
struct Meta {
    std::uint64_t start_us = 0; // wall time of the begin, since 1970; 0: not known
    std::string source;         // who recorded: "tap", "proxy", "import strace"
    std::string daemon;         // what was recorded, in any words; empty: not known
    friend bool operator==(const Meta &, const Meta &) = default;
};

enum class Transport : std::uint8_t { Unknown = 0, Socket = 1, Ring = 2 };

/// A connection is there from now on. Ids are the recorder's; one may be used again after Closed.
struct Opened {
    std::uint64_t conn = 0;
    bool before = false; // it was open when the recording began
    Transport transport = Transport::Unknown;
    std::optional<std::uint32_t> domid; // nullopt, here and below: not known
    std::optional<std::uint32_t> pid, uid;
    std::string comm; // name of the process; empty: not known
    friend bool operator==(const Opened &, const Opened &) = default;
};

struct Closed {
    std::uint64_t conn = 0;
    friend bool operator==(const Closed &, const Closed &) = default;
};

/// One message of the protocol, header and payload (server/engine/wire.hpp).
struct Message {
    std::uint64_t conn = 0;
    std::uint32_t type = 0, req_id = 0, tx_id = 0;
    bool redacted = false; // the payload is not what was sent: something in it was made unreadable
    std::string payload;   // at most kPathTextMax bytes
    friend bool operator==(const Message &, const Message &) = default;
};

struct Request : Message {
    std::string
        facts; // what the daemon found out to execute it (server/engine/facts.hpp); empty: none, or not known
    friend bool operator==(const Request &, const Request &) = default;
};

struct Reply : Message {
    friend bool operator==(const Reply &, const Reply &) = default;
};

/// A watch event; its type is 15, req_id and tx_id are 0.
struct Event : Message {
    friend bool operator==(const Event &, const Event &) = default;
};

/// Here messages are missing that the recorder could not keep.
struct Dropped {
    std::uint64_t messages = 0;
    friend bool operator==(const Dropped &, const Dropped &) = default;
};

/// The daemon was told of domains: "<domid> <unique id, hex> <alive|shutdown|dead>[;...]".
struct Domains {
    std::string news;
    friend bool operator==(const Domains &, const Domains &) = default;
};

/// The store at the begin. If there is no such record, or known is false, nothing is known of it.
struct Start {
    bool known = false;
    std::uint64_t nodes =
        0; // Node records that follow at once; parents come before their children, "/" is first
    friend bool operator==(const Start &, const Start &) = default;
};

struct Node {
    std::string path, perms, value; // perms as in xsgit/base/perms.hpp: "n0,r5,w7!"
    friend bool operator==(const Node &, const Node &) = default;
};

/// A watch that was there at the begin, of a connection that was.
struct Watch {
    std::uint64_t conn = 0;
    std::optional<std::uint32_t> depth;
    std::string path, token; // as its client gave them
    friend bool operator==(const Watch &, const Watch &) = default;
};

/// Words of the recorder for people.
struct Note {
    std::string text;
    friend bool operator==(const Note &, const Note &) = default;
};

/// The recorder ended in order. Nothing follows.
struct End {
    std::string reason; // "stopped", "continued in NAME"
    friend bool operator==(const End &, const End &) = default;
};

using Body = std::variant<Meta, Opened, Closed, Request, Reply, Event, Dropped, Domains, Start, Node, Watch,
                          Note, End>;

struct Record {
    std::uint64_t at_us = 0; // since the begin; never less than that of the record before
    Body body;
    friend bool operator==(const Record &, const Record &) = default;
};

/// The connection that it speaks of; nullopt if none.
std::optional<std::uint64_t> connection_of(const Body &body) noexcept;

} // namespace xsgit::session
