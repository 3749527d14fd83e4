// SPDX-License-Identifier: MIT
// A guest's ring as Transport. The indexes lie in the guest's page and survive us; what a transfer was about to do to
// them lies in the slot. Keeps no index of its own between two calls: guests reset theirs without telling.
#pragma once

#include "server/daemon/ring_host.hpp"
#include "server/daemon/slot_format.hpp"
#include "server/daemon/transport.hpp"

namespace xsgit::server {

class RingTransport final : public Transport {
public:
    /// Borrows all three. `record` names the ring's ports and features.
    RingTransport(RingPage &page, RingRecord &record, RingHost &host) noexcept
        : page_(page), record_(record), host_(host)
    {
    }

    /// The ring begins to be served: carries out what record.stage says is still to be done (resets indexes, tells
    /// features, ends the guest's wait for reconnection), here or after another death. Does nothing when all is done.
    void open() noexcept;

    int receive(mmsghdr &m) noexcept override;
    int send(mmsghdr &m) noexcept override;
    bool settle_receive(mmsghdr &m) noexcept override;
    bool settle_send(mmsghdr &m) noexcept override;
    bool more() const noexcept override;
    bool has_room() const noexcept override;
    void nudge() noexcept override;
    bool refuse(RingError why) noexcept override;

    /// The guest is rung, whether it needs it or not: for a successor.
    void ring() noexcept;
    RingPage &page() noexcept { return page_; }
    const RingRecord &record() const noexcept { return record_; }

private:
    RingPage &page_;
    RingRecord &record_;
    RingHost &host_;
    bool untold_ = false; // bytes were taken, and the guest has not been rung since
};

} // namespace xsgit::server
