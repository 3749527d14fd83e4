// SPDX-License-Identifier: MIT
// Which requests make sense in the past.
#include "bisect/serve/past_state.hpp"

#include "server/engine/wire.hpp"

#include <optional>
#include <string>

namespace xsgit::bisect {

namespace {

using server::MsgType;

/// What is answered without asking the engine; nullopt: ask it.
std::optional<Error> refusal(MsgType type)
{
    switch (type) {
    case MsgType::Write:
    case MsgType::Mkdir:
    case MsgType::Rm:
    case MsgType::SetPerms:
        return Error::Erofs;
    case MsgType::Control:
    case MsgType::Introduce:
    case MsgType::Release:
    case MsgType::Resume:
    case MsgType::SetTarget:
    case MsgType::SetFeature:
    case MsgType::GetQuota: // those of then are not known: the engine would tell its defaults
    case MsgType::SetQuota:
        return Error::Eacces;
    default:
        return std::nullopt;
    }
}

std::string home_of(std::uint32_t domid) { return "/local/domain/" + std::to_string(domid); }

} // namespace

PastState::PastState(Tree tree, Introduced introduced) : introduced_(std::move(introduced))
{
    Event start;
    start.kind = EventKind::Start; // the control domain becomes known
    step(start);
    state_.load_tree(std::move(tree));
}

void PastState::step(Event &e)
{
    out_.clear();
    e.number = state_.event_number() + 1;
    state_.step(e, out_);
}

std::uint64_t PastState::connect()
{
    Event e;
    e.kind = EventKind::Connect;
    e.conn = state_.next_connection();
    e.facts = "socket 0";
    step(e);
    return e.conn;
}

void PastState::close(std::uint64_t conn)
{
    Event e;
    e.kind = EventKind::Close;
    e.conn = conn;
    step(e);
}

bool PastState::was_introduced(std::string_view payload) const
{
    const auto arg = server::one_argument(payload);
    const auto domid = arg ? server::parse_domid(*arg) : std::nullopt;
    return domid && state_.tree().find(Path::trusted(home_of(*domid))) && introduced_(*domid);
}

const server::Outputs &PastState::request(std::uint64_t conn, std::string_view wire)
{
    const server::Header h = server::read_header(wire.data());
    if (const auto no = refusal(static_cast<MsgType>(h.type))) {
        out_.clear();
        out_.error(conn, h.req_id, h.tx_id, *no);
        return out_;
    }
    Event e;
    e.kind = EventKind::Request;
    e.conn = conn;
    e.request = ++requests_;
    e.wire = wire;
    step(e);
    // The engine has seen nobody being introduced.
    if (h.type == static_cast<std::uint32_t>(MsgType::IsDomainIntroduced) && out_.items().size() == 1 &&
        server::read_header(out_.bytes(out_.items().front()).data()).type == h.type &&
        was_introduced(wire.substr(kHeaderSize))) {
        out_.clear();
        out_.reply(conn, h.type, h.req_id, h.tx_id, std::string_view("T", 2));
    }
    return out_;
}

} // namespace xsgit::bisect
