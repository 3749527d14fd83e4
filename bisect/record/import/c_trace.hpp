// SPDX-License-Identifier: MIT
// The trace file of the C xenstored (-T), of Xen 4.17 and newer, and of this project's daemon.
//
//   [io: ]IN 0x55e1 [(d3) ]20230120 17:40:53 READ (/local/domain/3/x )
//   [obj: ]CREATE connection 0x55e1
// NULs are blanks; a value with a line feed goes on in the next line. There is no req_id and no number of a transaction: they
// are told by what came before on the connection.
#pragma once

#include "bisect/record/import/target.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::record {

class CTrace {
public:
    static constexpr const char *kSource = "import c-trace";
    static constexpr const char *kAbout = "from a trace file, which has seconds only, no req_id and no "
                                          "number of a transaction (both are told by their order), and "
                                          "blanks for NULs in values";

    explicit CTrace(Target &target) : target_(target) {}
    /// Whether a log that has this line is of this kind.
    static bool recognizes(std::string_view line);
    /// Lines that are none of these are counted, not refused.
    void line(std::string_view text);
    void finish();

private:
    struct Asked {
        std::uint32_t type = 0, req_id = 0, tx_id = 0;
    };
    struct Connection {
        std::uint64_t conn = 0;
        std::uint32_t next_req_id = 1;
        std::deque<Asked> asked;                 // at most kAskedMax
        std::vector<std::uint32_t> transactions; // open ones, at most kOpenMax
    };
    struct Pending {
        When when;
        std::string who, direction, payload;
        std::uint32_t type = 0;
        std::optional<std::uint32_t> domid;
    };
    std::optional<Pending> message(std::string_view text) const;
    bool object(std::string_view text);
    void flush();
    Connection &connection(const std::string &who, const Pending &of);
    void request(Connection &c, Pending &p);
    void answer(Connection &c, Pending &p);

    Target &target_;
    std::map<std::string, Connection, std::less<>> connections_; // at most kConnectionsMax
    std::optional<Pending> pending_;
    When last_;
};

} // namespace xsgit::record
