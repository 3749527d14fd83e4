// SPDX-License-Identifier: MIT
#include "server/engine/store_ops.hpp"

#include <algorithm>
#include <xxhash.h>

namespace xsgit::server {
namespace {

constexpr std::uint8_t kOwner = 4; // a need beside the bits of Access

bool allowed(const PermList &perms, const Subject &who, std::uint8_t need)
{
    if (who.privileged)
        return true;
    if ((need & kOwner) && !is_owner(perms, who))
        return false;
    const std::uint8_t rights = need & kBoth;
    return (access_of(perms, who) & rights) == rights;
}

/// Whether `who` has at least one right of `need`: enough to be told that a node below is not there, as in C.
bool partly_allowed(const PermList &perms, const Subject &who, std::uint8_t need)
{
    return ((need & kOwner) && is_owner(perms, who)) || (access_of(perms, who) & need & kBoth) != 0;
}

/// The node at `path`, if `who` has `need` on it. Absent: Enoent where the nearest
/// existing ancestor gives a part of `need`, else Eacces, so that nobody learns of nodes by asking.
Result<const Node *> lookup(const Tree &tree, const Path &path, const Subject &who, std::uint8_t need)
{
    if (const Node *n = tree.find(path)) {
        if (!allowed(*n->perms(), who, need))
            return fail(Error::Eacces);
        return n;
    }
    if (who.privileged)
        return fail(Error::Enoent);
    if (path.is_special())
        return fail(Error::Eacces);
    const Node *nearest = tree.root().get();
    for (const std::string_view c : path.components()) {
        const Node *n = nearest->children().find(c);
        if (!n)
            break;
        nearest = n;
    }
    return fail(partly_allowed(*nearest->perms(), who, need) ? Error::Enoent : Error::Eacces);
}

/// What a node made below `parent` gets: the parent's list, owned by an unprivileged creator.
PermsRef inherited(const Node &parent, const Subject &who)
{
    if (who.privileged || parent.perms()->owner() == who.domid)
        return parent.perms();
    return parent.perms()->with_owner(static_cast<std::uint16_t>(who.domid));
}

struct Call {
    std::uint32_t type;
    std::string_view payload;
    const Asker &asker;
    const Facts &facts;
    Tree &tree;
    Effect &effect;
    std::string &reply;
    const Subject &who = asker.who;

    Result<const Node *> node(std::string_view text, std::uint8_t need, bool special = false)
    {
        Result<Path> p = Path::parse(text, who.domid, special);
        if (!p)
            return fail(Error::Einval);
        if (path_too_long(*p, asker)) {
            effect.refused = Quota::PathMax;
            return fail(Error::Einval);
        }
        effect.path = std::move(*p);
        return lookup(tree, effect.path, who, need);
    }
    Result<void> refuse(Quota q, Error e)
    {
        effect.refused = q;
        return fail(e);
    }
    Result<void> check(Quota q, std::uint64_t n)
    {
        if (asker.peaks && (q == Quota::NodeSize || q == Quota::NodePermissions))
            note_peak(*asker.peaks, q, n);
        if (!asker.quotas || !asker.quotas->exceeded(q, n))
            return {};
        return refuse(q, q == Quota::Memory ? Error::Enomem : Error::Enospc);
    }
    /// What `who` would own after the effect's charges.
    Result<void> check_charges()
    {
        if (!asker.quotas)
            return {};
        const Account d = effect.charges.of(who.domid);
        if (d.nodes > 0)
            if (const auto r = check(Quota::Nodes, static_cast<std::uint64_t>(asker.owned.nodes + d.nodes));
                !r)
                return r;
        if (d.bytes <= 0)
            return {};
        const std::int64_t all = asker.owned.bytes + d.bytes + asker.memory;
        return check(Quota::Memory, static_cast<std::uint64_t>(std::max<std::int64_t>(all, 0)));
    }
    Result<const Node *> only_argument(std::uint8_t need, bool special = false)
    {
        const auto arg = one_argument(payload);
        if (!arg)
            return fail(Error::Einval);
        return node(*arg, need, special);
    }
    Result<void> ok()
    {
        reply.assign("OK", 3);
        return {};
    }

    Result<void> read()
    {
        effect.op = OpKind::Read;
        const auto n = only_argument(kRead);
        if (!n)
            return fail(n.error());
        if ((*n)->value().size() > kPayloadMax)
            return fail(Error::E2big);
        reply.assign((*n)->value());
        return {};
    }

    Result<void> directory()
    {
        effect.op = OpKind::Directory;
        const auto n = only_argument(kRead);
        if (!n)
            return fail(n.error());
        const Children &c = (*n)->children();
        if (c.names_bytes() > kPayloadMax)
            return fail(Error::E2big);
        for (auto it = c.begin(); it.get(); it.next())
            reply.append(it.get()->name()).push_back('\0');
        return {};
    }

    // <hash>|<names from an offset, whole ones, while they fit>; one more NUL at the end of the list
    Result<void> directory_part()
    {
        effect.op = OpKind::Directory;
        const auto args = arguments(payload, 2);
        if (args.size() != 2)
            return fail(Error::Einval);
        const auto n = node(args[0], kRead);
        if (!n)
            return fail(n.error());
        const long from = parse_atoi(args[1]);
        const Children &c = (*n)->children();
        const std::size_t offset = static_cast<std::size_t>(from); // a negative one lies behind any end
        reply = std::to_string(c.names_hash());
        reply.push_back('\0');
        if (offset >= c.names_bytes()) {
            reply.push_back('\0');
            return {};
        }
        auto it = c.at_names_offset(offset);
        for (; it.get(); it.next()) {
            const std::string_view name = it.get()->name();
            if (reply.size() + name.size() + 1 >= kPayloadMax)
                return {};
            reply.append(name).push_back('\0');
        }
        reply.push_back('\0');
        return {};
    }

    Result<void> get_perms()
    {
        effect.op = OpKind::GetPerms;
        const auto n = only_argument(kRead, true);
        if (!n)
            return fail(n.error());
        for (const Perm &p : (*n)->perms()->entries()) {
            reply.push_back(access_letter(p.access));
            reply.append(std::to_string(p.domid)).push_back('\0');
        }
        if (reply.size() > kPayloadMax) {
            reply.clear();
            return fail(Error::E2big);
        }
        return {};
    }

    /// The node at effect.path, with all that is missing above it.
    Result<void> create(BytesRef value)
    {
        // From the last existing ancestor down, built from the new leaf up.
        const Node *nearest = tree.root().get();
        std::vector<std::string_view> missing;
        Path at;
        for (const std::string_view c : effect.path.components()) {
            const Node *n = missing.empty() ? nearest->children().find(c) : nullptr;
            if (n) {
                nearest = n;
                at = at.child(c);
            } else {
                missing.push_back(c);
            }
        }
        if (const auto r = check(Quota::NodeSize, node_size(*nearest) + missing.front().size() + 1); !r)
            return r;
        const PermsRef perms = inherited(*nearest, who);
        const NodeRef leaf = Node::make(missing.back(), std::move(value), perms);
        NodeRef node = leaf;
        charge_node(effect.charges, *leaf, 1);
        for (std::size_t i = missing.size() - 1; i-- > 0;) {
            if (const auto r = check(Quota::NodeSize, node_size(*node)); !r)
                return r;
            node = Node::make(missing[i], nullptr, perms, Children().with(std::move(node)));
            charge_node(effect.charges, *node, 1);
        }
        if (const auto r = check(Quota::NodeSize, node_size(*node)); !r)
            return r;
        if (const auto r = check_charges(); !r)
            return r;
        effect.after = leaf;
        effect.kind = Effect::Created;
        tree = std::move(tree).put(at.child(missing.front()), std::move(node));
        return ok();
    }

    Result<void> write()
    {
        effect.op = OpKind::Write;
        const std::size_t nul = payload.find('\0');
        if (nul == std::string_view::npos)
            return fail(Error::Einval);
        const auto n = node(payload.substr(0, nul), kWrite);
        if (!n && n.error() != Error::Enoent)
            return fail(n.error());
        BytesRef value = Bytes::make(payload.substr(nul + 1));
        if (!n)
            return create(std::move(value));
        const std::size_t old = (*n)->value().size(), now = payload.size() - nul - 1;
        if (const auto r = check(Quota::NodeSize, node_size(**n) - old + now); !r)
            return r;
        effect.charges.add((*n)->perms()->owner(),
                           {0, static_cast<std::int64_t>(now) - static_cast<std::int64_t>(old), 0});
        if (const auto r = check_charges(); !r)
            return r;
        tree = std::move(tree).put(effect.path, (*n)->with_value(std::move(value)));
        effect.kind = Effect::Written;
        return ok();
    }

    Result<void> mkdir()
    {
        effect.op = OpKind::Mkdir;
        const auto n = only_argument(kWrite);
        if (!n && n.error() != Error::Enoent)
            return fail(n.error());
        return n ? ok() : create(nullptr);
    }

    Result<void> rm()
    {
        effect.op = OpKind::Rm;
        const auto n = only_argument(kWrite);
        if (!n) {
            // Removing what is not there is fine as long as its directory is.
            if (n.error() == Error::Enoent && tree.find(effect.path.parent()))
                return ok();
            return fail(n.error());
        }
        if (effect.path.is_root())
            return fail(Error::Einval);
        effect.before = NodeRef(*n);
        effect.kind = Effect::Removed;
        each_node(**n, [this](const Node &gone) { charge_node(effect.charges, gone, -1); });
        tree = std::move(tree).remove(effect.path);
        return ok();
    }

    Result<PermsRef> permission_list(const std::vector<std::string_view> &args)
    {
        std::vector<Perm> list;
        for (std::size_t i = 1; i < args.size(); ++i) {
            const auto p = parse_perm(args[i]);
            if (!p)
                return fail(p.error());
            list.push_back(*p);
            if (p->domid == kDomidAny) {
                list.back().stale = !asker.domid_any && list.size() > 1;
                continue;
            }
            const DomainFact *f = facts.domain(p->domid);
            list.back().stale = f && !f->exists;
        }
        // An owner that does not exist, or would be everybody, is refused.
        if (list.front().stale)
            return fail(Error::Enoent);
        if (list.front().domid == kDomidAny)
            return fail(Error::Einval);
        return PermList::make(std::move(list));
    }

    Result<void> set_perms()
    {
        effect.op = OpKind::SetPerms;
        const std::size_t strings = count_strings(payload);
        if (strings < 2)
            return fail(Error::Einval);
        if (const auto r = check(Quota::NodePermissions, strings - 1); !r)
            return r;
        if (strings - 1 > kPermsMax) {
            effect.limit = FixedLimit{"entries in a permission list", kPermsMax};
            return fail(Error::Enospc);
        }
        const auto args = arguments(payload, kPermsMax + 1);
        const auto perms = permission_list(args);
        if (!perms)
            return fail(perms.error());
        const auto n = node(args[0], kWrite | kOwner, true);
        if (!n)
            return fail(n.error());
        if (!who.privileged && (*perms)->owner() != (*n)->perms()->owner())
            return fail(Error::Eperm);
        NodeRef changed = (*n)->with_perms(*perms);
        if (const auto r = check(Quota::NodeSize, node_size(*changed)); !r)
            return r;
        charge_node(effect.charges, **n, -1);
        charge_node(effect.charges, *changed, 1);
        if (const auto r = check_charges(); !r)
            return r;
        effect.before = NodeRef(*n);
        effect.kind = Effect::PermsSet;
        tree = std::move(tree).put(effect.path, std::move(changed));
        return ok();
    }
};

} // namespace

/// As 4.22: one to five digits, whatever the domid.
bool path_too_long(const Path &path, const Asker &asker)
{
    static constexpr std::string_view kHome = "/local/domain/";
    if (!asker.quotas)
        return false;
    const std::string_view text = path.str();
    std::size_t skip = 0;
    if (text.starts_with(kHome)) {
        std::size_t digits = 0;
        while (digits < 5 && kHome.size() + digits < text.size() && text[kHome.size() + digits] >= '0' &&
               text[kHome.size() + digits] <= '9')
            ++digits;
        if (digits > 0 && kHome.size() + digits < text.size() && text[kHome.size() + digits] == '/')
            skip = kHome.size() + digits + 1;
    }
    if (asker.peaks)
        note_peak(*asker.peaks, Quota::PathMax, text.size() - skip);
    return asker.quotas->exceeded(Quota::PathMax, text.size() - skip);
}

bool is_store_request(std::uint32_t type) noexcept
{
    switch (static_cast<MsgType>(type)) {
    case MsgType::Directory:
    case MsgType::Read:
    case MsgType::GetPerms:
    case MsgType::Write:
    case MsgType::Mkdir:
    case MsgType::Rm:
    case MsgType::SetPerms:
    case MsgType::DirectoryPart:
        return true;
    default:
        return false;
    }
}

Result<void> execute_store(std::uint32_t type, std::string_view payload, const Asker &asker,
                           const Facts &facts, Tree &tree, Effect &effect, std::string &reply)
{
    reply.clear();
    Call call{type, payload, asker, facts, tree, effect, reply};
    switch (static_cast<MsgType>(type)) {
    case MsgType::Directory:
        return call.directory();
    case MsgType::Read:
        return call.read();
    case MsgType::GetPerms:
        return call.get_perms();
    case MsgType::Write:
        return call.write();
    case MsgType::Mkdir:
        return call.mkdir();
    case MsgType::Rm:
        return call.rm();
    case MsgType::SetPerms:
        return call.set_perms();
    case MsgType::DirectoryPart:
        return call.directory_part();
    default:
        return fail(Error::Enosys);
    }
}

std::uint64_t answer_hash(const Result<void> &result, std::string_view payload, const Effect &e) noexcept
{
    if (!result)
        return 1 + static_cast<std::uint64_t>(result.error());
    // Not how many ancestors came with the node: guests that make their first device at the same time all
    // make the directory of that kind, and none of them is told.
    std::uint64_t h = XXH3_64bits_withSeed(payload.data(), payload.size(), e.kind);
    if (e.after) {
        const std::string &p = e.after->perms()->text();
        h = XXH3_64bits_withSeed(p.data(), p.size(), h);
    }
    return h;
}

Operation operation_of(std::uint32_t type, std::string_view payload, const Effect &effect,
                       std::string &scratch)
{
    Operation op;
    op.kind = effect.op;
    op.path = effect.path.str();
    if (static_cast<MsgType>(type) == MsgType::Write) {
        op.value = payload.substr(std::min(payload.find('\0') + 1, payload.size()));
    } else if (static_cast<MsgType>(type) == MsgType::SetPerms) {
        scratch.clear();
        for (const std::string_view p : arguments(payload, kPermsMax + 1)) {
            if (p.data() == payload.data())
                continue;
            scratch.append(scratch.empty() ? "" : ",").append(p);
        }
        op.value = scratch;
    }
    return op;
}

} // namespace xsgit::server
