// SPDX-License-Identifier: MIT
// Sequences of requests and events. Each begins with two bytes that choose who and what; most then take their paths
// from a small set, so that they meet; some take raw bytes.
#include "world.hpp"

using namespace xsgit;
using namespace xsgit::server;
using namespace xsgit::server::fuzz;

namespace {

constexpr const char *kPaths[] = {"/",
                                  "/a",
                                  "/a/b",
                                  "/a/b/c",
                                  "rel",
                                  "rel/x",
                                  "/local/domain/5/a",
                                  "/local/domain/6",
                                  "@releaseDomain",
                                  "@introduceDomain",
                                  "@releaseDomain/5",
                                  "/local/domain/5",
                                  "/tool"};

std::string path(Input &in) { return kPaths[in.byte() % std::size(kPaths)] + std::string(1, '\0'); }

std::string word(Input &in, const char *const *words, std::size_t n)
{
    return words[in.byte() % n] + std::string(1, '\0');
}
template <std::size_t N>
std::string word(Input &in, const char *const (&words)[N])
{
    return word(in, words, N);
}

std::string payload(Input &in, std::uint32_t type)
{
    static constexpr const char *kPerms[] = {"n0", "r5", "w6", "b5", "n6", "r32757", "b0x5", "q1"};
    static constexpr const char *kDomids[] = {"0", "5", "6", "7", "9", "", "x"};
    static constexpr const char *kQuotas[] = {"nodes",   "memory",   "node-size",         "transactions",
                                              "watches", "path-max", "transaction-nodes", "node-permissions",
                                              "none"};
    static constexpr const char *kNumbers[] = {"1", "2", "4", "100", "0", "-1", "2048", "4294967295"};
    std::string s;
    switch (static_cast<MsgType>(type)) {
    case MsgType::Watch:
    case MsgType::Unwatch:
        s = path(in) + word(in, kNumbers);
        return in.byte() % 3 ? s : s + word(in, kNumbers);
    case MsgType::Write:
        s = path(in);
        return s + std::string(in.take(in.byte() % 64));
    case MsgType::SetPerms:
        s = path(in);
        for (int n = in.byte() % 7; n > 0; --n)
            s += word(in, kPerms);
        return s;
    case MsgType::TransactionEnd:
        return in.byte() % 4 ? std::string("T", 2) : std::string("F", 2);
    case MsgType::DirectoryPart:
        return path(in) + word(in, kNumbers);
    case MsgType::Introduce:
        return word(in, kDomids) + word(in, kNumbers) + word(in, kNumbers);
    case MsgType::SetTarget:
        return word(in, kDomids) + word(in, kDomids);
    case MsgType::SetFeature:
        return word(in, kDomids) + word(in, kNumbers);
    case MsgType::GetQuota:
        return in.byte() % 2 ? word(in, kQuotas) : word(in, kDomids) + word(in, kQuotas);
    case MsgType::SetQuota:
        s = in.byte() % 2 ? word(in, kDomids) : std::string();
        return s + word(in, kQuotas) + word(in, kNumbers);
    case MsgType::Release:
    case MsgType::Resume:
    case MsgType::IsDomainIntroduced:
    case MsgType::GetDomainPath:
    case MsgType::GetFeature:
        return word(in, kDomids);
    default:
        return path(in);
    }
}

void other_event(World &w, Input &in)
{
    static constexpr const char *kNews[] = {"5 69 shutdown", "5 69 dead", "6 6a shutdown;5 69 dead",
                                            "6 99 alive", "x"};
    switch (in.byte() % 5) {
    case 0:
        return w.event(EventKind::Domains, 0, kNews[in.byte() % std::size(kNews)]);
    case 1:
        return w.event(EventKind::Ignore, in.byte() % 8, "2");
    case 2:
        return w.event(EventKind::Epoch, 0, {});
    case 3:
        return w.event(EventKind::Restart, 0, {});
    default:
        return w.event(EventKind::Close, 1 + in.byte() % 2, {});
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    World w;
    Input in(data, size);
    for (int n = 0; n < 400 && !in.empty(); ++n) {
        const std::uint8_t who = in.byte(), what = in.byte();
        if (who >= 250) {
            other_event(w, in);
            continue;
        }
        const std::uint64_t conn = 1 + who % 6;
        const std::uint32_t tx = who / 6 % 4;
        const std::uint32_t type = what % 29; // a few that are none
        if (what >= 232)
            w.request(conn, type, tx, in.take(in.byte()));
        else
            w.request(conn, type, tx, payload(in, type));
    }
    w.check();
    return 0;
}
