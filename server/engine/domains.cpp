// SPDX-License-Identifier: MIT
// Domains become known, are introduced, resumed, released.
#include "server/engine/state_impl.hpp"

#include <charconv>

namespace xsgit::server {
namespace {

std::string home_of(std::uint32_t domid) { return "/local/domain/" + std::to_string(domid); }

Operation operation_on(OpKind kind, const std::string &home)
{
    Operation op;
    op.kind = kind;
    op.path = home;
    return op;
}

std::string_view next_word(std::string_view &rest)
{
    const std::size_t n = std::min(rest.find(' '), rest.size());
    const std::string_view w = rest.substr(0, n);
    rest.remove_prefix(std::min(n + 1, rest.size()));
    return w;
}

template <class N>
void read_number(std::string_view text, N &n, int base = 10)
{
    std::from_chars(text.data(), text.data() + text.size(), n, base);
}

} // namespace

/// The record of a domain that exists; made if there is none.
Domain &State::Impl::domain(std::uint32_t domid, std::uint64_t unique_id)
{
    const auto [it, fresh] = domains.try_emplace(domid);
    Domain &d = it->second;
    if (fresh) {
        d.domid = domid;
        d.quotas = quotas;
    }
    if (d.unique_id == 0)
        d.unique_id = unique_id;
    return d;
}

/// As a request names it: known already, or found to exist. Null: there is none.
Domain *State::Impl::known_domain(Step &s, std::uint32_t domid)
{
    if (const auto it = domains.find(domid); it != domains.end())
        return &it->second;
    const DomainFact *f = s.facts.domain(domid);
    return f && f->exists ? &domain(domid, f->unique_id) : nullptr;
}

Client &State::Impl::attach(Domain &d, Outputs &out)
{
    Client c;
    c.id = d.conn = next_conn++;
    c.domid = d.domid;
    c.ring = true;
    c.target = d.target;
    d.introduced = true;
    out.order({Order::Kind::Attach, d.domid, c.id, d.features});
    return clients.insert_or_assign(c.id, std::move(c)).first->second;
}

void State::Impl::detach(Domain &d, Outputs &out)
{
    if (d.conn == 0)
        return;
    out.order({Order::Kind::Detach, d.domid, d.conn, 0});
    close(d.conn);
    d.conn = 0;
}

/// INTRODUCE <domid>|<gfn>|<port>|: the ring is attached already, as the facts say.
Result<void> State::Impl::introduce(Step &s)
{
    const auto args = arguments(s.request.payload, 3);
    const auto domid = args.size() < 3 ? std::nullopt : parse_domid(args[0]);
    if (!domid || parse_atoi(args[2]) <= 0)
        return fail(Error::Einval);
    if (s.client.ring && s.client.domid == *domid) // it would pull the ring from under its own request
        return fail(Error::Einval);
    if (s.facts.failed)
        return fail(*s.facts.failed);
    Domain *d = s.facts.local_port ? known_domain(s, *domid) : nullptr;
    if (!d)
        return fail(Error::Einval);
    const bool again = d->introduced;
    // Who broke the protocol is not forgiven by this, only by RELEASE; what was prepared goes back.
    if (const auto c = clients.find(d->conn); again && c != clients.end() && c->second.ignored)
        return {};
    // Introducing anew resets the connection: watches, transactions and everything on the way are gone.
    detach(*d, s.out);
    d->port = static_cast<std::uint32_t>(parse_atoi(args[2]));
    attach(*d, s.out);
    if (!again && *domid != 0) {
        fire_special("@introduceDomain", std::nullopt, s.out);
        fire_special("@introduceDomain", *domid, s.out);
    }
    ++seq;
    if (sink)
        committed(s.event, actor_of(s.client), operation_on(OpKind::Introduce, home_of(*domid)), tree);
    return {};
}

/// A ring that was there before us: dom0's, or that of a domain that runs already.
void State::Impl::connect_ring(const Event &e)
{
    std::string_view rest = e.facts;
    next_word(rest);
    std::uint32_t domid = 0, port = 0;
    std::uint64_t unique_id = 0;
    read_number(next_word(rest), domid);
    read_number(next_word(rest), unique_id, 16);
    read_number(next_word(rest), port);
    Domain &d = domain(domid, unique_id);
    if (d.introduced && d.conn != 0)
        return;
    next_conn = e.conn;
    d.port = port;
    Outputs none; // the server has done it
    attach(d, none);
}

Result<void> State::Impl::release(Step &s)
{
    const auto arg = one_argument(s.request.payload);
    const auto domid = arg ? parse_domid(*arg) : std::nullopt;
    if (!domid || *domid == 0)
        return fail(Error::Einval);
    const auto d = domains.find(*domid);
    if (d == domains.end() || !d->second.introduced)
        return fail(Error::Enoent);
    destroy(s.event, *domid, OpKind::Release, actor_of(s.client), s.out);
    return {};
}

Result<void> State::Impl::resume(Step &s)
{
    const auto arg = one_argument(s.request.payload);
    const auto domid = arg ? parse_domid(*arg) : std::nullopt;
    if (!domid || *domid == 0)
        return fail(Error::Einval);
    const auto d = domains.find(*domid);
    if (d == domains.end() || !d->second.introduced)
        return fail(Error::Enoent);
    d->second.shutdown = false;
    return {};
}

Result<void> State::Impl::set_target(Step &s)
{
    const auto args = arguments(s.request.payload, 2);
    const auto domid = args.size() < 2 ? std::nullopt : parse_domid(args[0]);
    const auto target = args.size() < 2 ? std::nullopt : parse_domid(args[1]);
    if (!domid || !target)
        return fail(Error::Einval);
    const auto d = domains.find(*domid), t = domains.find(*target);
    if (d == domains.end() || t == domains.end() || !d->second.introduced || !t->second.introduced)
        return fail(Error::Enoent);
    if (d->second.target == *target)
        return {};
    d->second.target = *target;
    if (const auto c = clients.find(d->second.conn); c != clients.end()) {
        doom_transactions_of(c->second);
        c->second.target = *target;
    }
    return {};
}

/// INTRODUCE, RELEASE, RESUME, SET_TARGET, IS_DOMAIN_INTRODUCED (which answers itself).
Result<void> State::Impl::domain_request(Step &s)
{
    switch (static_cast<MsgType>(s.type())) {
    case MsgType::Introduce:
        return introduce(s);
    case MsgType::Release:
        return release(s);
    case MsgType::Resume:
        return resume(s);
    default:
        return set_target(s);
    }
}

void State::Impl::changed_domains(const Event &e, Outputs &out)
{
    bool stopped = false;
    for (const DomainNews &n : parse_news(e.facts)) {
        const auto it = domains.find(n.domid);
        if (it == domains.end() || n.domid == 0)
            continue;
        Domain &d = it->second;
        if (n.what == DomainNews::What::Same) {
            d.unique_id = n.unique_id;
            continue;
        }
        const bool other = d.unique_id != 0 && n.unique_id != 0 && d.unique_id != n.unique_id;
        if (n.what == DomainNews::What::Dead || other) {
            destroy(e, n.domid, OpKind::Death, Actor{n.domid, 0, {}}, out);
        } else if (n.what == DomainNews::What::Shutdown && d.introduced && !d.shutdown) {
            d.shutdown = stopped = true;
            fire_special("@releaseDomain", n.domid, out);
        }
    }
    if (stopped) // one for all of them
        fire_special("@releaseDomain", std::nullopt, out);
}

void State::Impl::ignore(const Event &e)
{
    const auto it = clients.find(e.conn);
    if (it == clients.end() || !it->second.ring)
        return;
    Client &c = it->second;
    drop_watches(c);
    c.transactions.clear();
    c.log_bytes = 0;
    c.ignored = true;
}

} // namespace xsgit::server
