// SPDX-License-Identifier: MIT
// The commits that a daemon would have made of what is played: their ids depend on nothing else.
#pragma once

#include "xsgit/change.hpp"
#include "xsgit/git/history_writer.hpp"

#include <string>

namespace xsgit::replay {

/// For EngineTarget. Writes history and throws its objects away.
class CommitIds final : public ChangeSink {
public:
    void on_change(const Change &c) override;
    void on_conflict(const Conflict &c) override;
    void on_epoch(const NewEpoch &e, const Tree &head) override;

    /// The last commits so far; null ids before the first.
    const Tips &tips() const noexcept { return writer_.tips(); }

private:
    void bound();
    HistoryWriter writer_{Tips{}, Tree(), 1};
};

} // namespace xsgit::replay
