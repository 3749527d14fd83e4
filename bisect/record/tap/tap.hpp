// SPDX-License-Identifier: MIT
// Records a running daemon, which neither does anything for it nor notices.
#pragma once

#include "bisect/record/tap/daemon_fold.hpp"
#include "bisect/record/tap/tap_writer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace xsgit::record {

class Tap {
public:
    /// Begins where the daemon is now, or a little later, where no transaction is open, and makes the file. `redaction` must
    /// outlive this; `note` gets what the user should know. Throws inspect::ToolFailure, and what SessionFile throws.
    Tap(const std::string &repository, FileOptions options, const Redaction &redaction,
        std::function<void(const std::string &)> note);

    enum class Ended { Stopped, StoreGone, NotWritable };
    /// Records until `stop` (a descriptor) is readable: then all that was executed until then is in the file, with the end
    /// mark. What waits is written every kLookMs at the latest. Never waits for the daemon, nor does it for this. Throws
    /// inspect::ToolFailure if the daemon's files cannot be read any more; the file has its end mark then.
    Ended run(int stop);

    struct Counts {
        std::uint64_t requests = 0, lost_events = 0;
        std::uint64_t differing = 0; // events that the daemon answered otherwise than this process
    };
    Counts counts() const noexcept { return {writer_->requests(), lost_, differing_}; }
    const SessionFile &file() const noexcept { return *file_; }

private:
    static constexpr int kLookMs = 20;
    void settle();
    std::uint64_t begin_us();
    bool take();
    void reload();
    Ended record(int stop);
    void finish(const std::string &why);

    DaemonFold daemon_;
    std::function<void(const std::string &)> note_;
    std::optional<std::int64_t> fresh_since_;
    std::unique_ptr<SessionFile> file_;
    std::unique_ptr<TapWriter> writer_;
    server::Outputs outputs_;
    std::uint64_t lost_ = 0, differing_ = 0;
};

} // namespace xsgit::record
