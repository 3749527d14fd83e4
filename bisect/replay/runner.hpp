// SPDX-License-Identifier: MIT
// Plays a script to one target: transactions that were started anew have ids of their own.
#pragma once

#include "bisect/replay/script.hpp"
#include "bisect/replay/target.hpp"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace xsgit::replay {

class Runner {
public:
    /// Both must outlive this.
    Runner(const Script &script, Target &target) : script_(script), target_(target) {}

    /// Steps must come in order. `out` gets what came to anybody; ids of transactions in it are those of the recording where that
    /// is known. Throws TargetFailed.
    void play(const Step &step, std::vector<Received> &out);
    /// Everything that was caused has come.
    void settle(std::vector<Received> &out) { target_.settle(out); }

private:
    void translate(const Step &step, std::uint32_t sent_tx, std::vector<Received> &out, std::size_t from);
    const Script &script_;
    Target &target_;
    bool watches_made_ = false;
    // by client: the recording's id, the target's
    std::unordered_map<std::size_t, std::unordered_map<std::uint32_t, std::uint32_t>> transactions_;
};

/// The id in the answer to TRANSACTION_START; 0: it is none.
std::uint32_t started_transaction(const session::Message &m);

/// Whether a target's message is what was recorded, but for what may differ: the id of a new transaction, the number
/// before DIRECTORY_PART's list, CONTROL's words, redacted payloads. `lenient`: and for what another xenstored may do
/// otherwise: the order of children, and which error it is.
bool same_message(const Received &recorded, const Received &got, bool lenient);

} // namespace xsgit::replay
