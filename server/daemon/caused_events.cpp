// SPDX-License-Identifier: MIT
#include "server/daemon/caused_events.hpp"

namespace xsgit::server {

void CausedEvents::waits(std::uint64_t event, std::uint64_t by, std::size_t bytes)
{
    Request &r = requests_[event];
    Load &load = loads_[by];
    r.by = by;
    load.requests += r.events++ == 0;
    load.bytes += bytes;
}

std::uint64_t CausedEvents::gone(std::uint64_t event, std::size_t bytes)
{
    const auto r = requests_.find(event);
    if (r == requests_.end())
        return 0;
    const std::uint64_t by = r->second.by;
    const bool last = --r->second.events == 0;
    if (last)
        requests_.erase(r);
    const auto load = loads_.find(by);
    if (load == loads_.end())
        return 0;
    load->second.requests -= last;
    load->second.bytes -= bytes;
    if (load->second.requests == 0)
        loads_.erase(load);
    return by;
}

CausedEvents::Load CausedEvents::load(std::uint64_t by) const
{
    const auto it = loads_.find(by);
    return it == loads_.end() ? Load() : it->second;
}

} // namespace xsgit::server
