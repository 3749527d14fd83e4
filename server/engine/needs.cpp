// SPDX-License-Identifier: MIT
// What must be known, or done, before a request can be stepped.
#include "server/engine/control.hpp"
#include "server/engine/state_impl.hpp"

#include <algorithm>

namespace xsgit::server {
namespace {

void of_permissions(std::string_view payload, Needs &out)
{
    const auto args = arguments(payload, kPermsMax + 1);
    for (std::size_t i = 1; i < args.size() && i <= kPermsMax; ++i) {
        const auto p = parse_perm(args[i]);
        if (p && p->domid != 0 && p->domid != kDomidAny &&
            std::find(out.domids.begin(), out.domids.end(), p->domid) == out.domids.end())
            out.domids.push_back(p->domid);
    }
}

void of_introduction(std::string_view payload, Needs &out)
{
    const auto args = arguments(payload, 3);
    const auto domid = args.size() < 3 ? std::nullopt : parse_domid(args[0]);
    if (!domid || parse_atoi(args[2]) <= 0)
        return;
    out.domids.push_back(*domid);
    out.attach = Needs::Ring{*domid, static_cast<std::uint32_t>(parse_atoi(args[2]))};
}

} // namespace

Needs State::needs(const Event &e) const
{
    Needs out;
    const auto r = read_request(e.wire);
    const auto it = impl_->clients.find(e.conn);
    if (!r || it == impl_->clients.end() || it->second.ignored)
        return out;
    const Client &c = it->second;
    const MsgType type = static_cast<MsgType>(r->header.type);
    if (type == MsgType::SetPerms) {
        // Looking up a domain takes a while: none for what is refused anyway. Those that are known are asked for, too: the
        // facts in a transaction's log tell which domains it gives something, for when one of them ends.
        const auto d = impl_->domains.find(c.domid);
        if (c.privileged() || d == impl_->domains.end() ||
            !d->second.quotas.exceeded(Quota::NodePermissions, count_strings(r->payload) - 1))
            of_permissions(r->payload, out);
        return out;
    }
    // Refused before it is looked at.
    if (!c.privileged() || (r->header.tx_id != 0 && !c.transactions.contains(r->header.tx_id)))
        return out;
    const auto unknown = [&](std::string_view text) {
        const auto domid = parse_domid(text);
        if (domid && !impl_->domains.contains(*domid))
            out.domids.push_back(*domid);
    };
    const auto args = [&] { return arguments(r->payload, 3); };
    switch (type) {
    case MsgType::Introduce:
        of_introduction(r->payload, out);
        break;
    case MsgType::GetFeature:
    case MsgType::SetFeature:
        if (const auto a = args(); !a.empty())
            unknown(a[0]);
        break;
    case MsgType::GetQuota:
        if (const auto a = args(); a.size() == 2)
            unknown(a[0]);
        break;
    case MsgType::SetQuota:
        if (const auto a = args(); a.size() == 3)
            unknown(a[0]);
        break;
    case MsgType::Control: {
        const auto a = args();
        const ControlCommand *command = a.empty() ? nullptr : control_command(a[0]);
        out.control = command && command->by_server;
        if (a.size() >= 2 && a[0] == "quota") {
            const auto domid = parse_domid(a[1]);
            if (a[1] == "max")
                out.outstanding = kDomidAny;
            else if (domid && impl_->domains.contains(*domid))
                out.outstanding = domid;
        }
        break;
    }
    default:
        break;
    }
    return out;
}

} // namespace xsgit::server
