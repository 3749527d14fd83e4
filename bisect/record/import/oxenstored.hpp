// SPDX-License-Identifier: MIT
// The access log of oxenstored.
//
//   [20261122T07:24:52.353Z]  A1.1         write     /a hello
// Connection ("D3" a domain, "A1" a socket), number of the transaction if it is one, operation, payload with blanks for NULs and
// OCaml's escapes. Only errors are answered there; lines are cut at 180 characters; starts of transactions are left out by default.
#pragma once

#include "bisect/record/import/target.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace xsgit::record {

class OxenstoredLog {
public:
    static constexpr const char *kSource = "import oxenstored";
    static constexpr const char *kAbout = "from oxenstored's access log, which has no replies but errors, by "
                                          "default no reads and no starts of transactions (they are "
                                          "put in before their first request), no req_id, blanks for NULs in "
                                          "values, and lines cut at 180 characters";

    explicit OxenstoredLog(Target &target) : target_(target) {}
    static bool recognizes(std::string_view line);
    /// Lines that are none of these are counted, not refused.
    void line(std::string_view text);
    void finish() {}

private:
    struct Connection {
        std::uint64_t conn = 0;
        std::uint32_t req_id = 0, type = 0;   // of the last request
        std::set<std::uint32_t> transactions; // open ones, at most kTransactionsMax
    };
    struct Entry {
        When when;
        std::string who;
        std::uint32_t tx_id = 0;
        std::string_view op, data;
        bool cut = false;
    };
    static bool parse(std::string_view text, Entry &e);
    Connection &connection(const Entry &e, bool before);
    void request(const Entry &e, std::uint32_t type);
    void send(const Entry &e, Connection &c, std::uint32_t type, std::uint32_t tx_id, std::string payload);
    void end(const Entry &e, bool committed);

    Target &target_;
    std::map<std::string, Connection> connections_; // at most session::kOpenMax
};

} // namespace xsgit::record
