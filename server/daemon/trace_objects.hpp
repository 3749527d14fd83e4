// SPDX-License-Identifier: MIT
// Which watches and transactions come and go, told from the messages: the trace needs no more of the state. Those
// that were there before the trace began are not known, and their end is not noticed.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace xsgit::server {

class TraceObjects {
public:
    struct Change {
        std::string_view what; // "CREATE watch"; static lifetime
        std::uint64_t number;  // the same at its end as at its beginning
    };
    /// A request that is about to be executed: header and payload. The next request's answer comes after this one's.
    void request(std::uint64_t conn, std::string_view bytes);
    /// Any message to a client; changes if it answers that request.
    std::vector<Change> output(std::uint64_t conn, std::string_view bytes);
    /// The end of all that a connection had.
    std::vector<Change> close(std::uint64_t conn);
    void clear();

private:
    struct Of {
        std::map<std::uint64_t, std::uint64_t> watches;      // hash of path and token -> number
        std::map<std::uint64_t, std::uint64_t> transactions; // id -> number
    };
    struct Asked {
        std::uint64_t conn = 0; // 0: nothing
        std::uint32_t type = 0, tx = 0;
        std::uint64_t watch = 0; // hash
    };
    std::map<std::uint64_t, Of> of_;
    Asked asked_;
    std::uint64_t last_ = 0;
};

} // namespace xsgit::server
