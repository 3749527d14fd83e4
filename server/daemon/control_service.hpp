// SPDX-License-Identifier: MIT
// The commands of CONTROL whose effect lies outside the state: logs, reports, publication.
#pragma once

#include "server/daemon/fold.hpp"
#include "server/daemon/log.hpp"
#include "server/daemon/trace.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xsgit::server {

class ControlService {
public:
    /// All borrowed.
    ControlService(Fold &fold, Trace &trace, Log &log) noexcept : fold_(fold), trace_(trace), log_(log) {}

    /// Executes the request with this payload and gives its facts (engine/facts.hpp). Nullopt: not done yet, ask
    /// again later, with the same `wait` (0 at first).
    std::optional<std::string> serve(std::string_view payload, std::uint64_t &wait);

private:
    std::string logfile(const std::string &path);
    std::string log(const std::vector<std::string_view> &args);
    std::string memreport(const std::vector<std::string_view> &args);
    std::string status() const;

    Fold &fold_;
    Trace &trace_;
    Log &log_;
};

} // namespace xsgit::server
