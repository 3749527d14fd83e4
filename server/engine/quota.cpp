// SPDX-License-Identifier: MIT
#include "server/engine/quota.hpp"

namespace xsgit::server {
namespace {

struct Row {
    std::string_view name, text;
    std::uint32_t value;
};

constexpr Row kRows[kQuotas] = {
    {"nodes", "Nodes per domain", 1000},
    {"watches", "Watches per domain", 128},
    {"outstanding", "Outstanding requests per domain", 20},
    {"memory", "Total Xenstore memory per domain", 2'621'440},
    {"soft-memory", "Total Xenstore memory per domain", 2'097'152},
    {"transactions", "Active transactions per domain", 10},
    {"transaction-nodes", "Max. number of accessed nodes per transaction", 1024},
    {"node-permissions", "Max. number of permissions per node", 5},
    {"path-max", "Max. length of a node path", 2048},
    {"node-size", "Max. size of a node", 2048},
};

const Row &row(Quota q) noexcept { return kRows[static_cast<std::size_t>(q)]; }

} // namespace

Quotas::Quotas() noexcept
{
    for (std::size_t i = 0; i < kQuotas; ++i)
        values_[i] = kRows[i].value;
}

std::string_view quota_name(Quota q) noexcept { return row(q).name; }
std::string_view quota_text(Quota q) noexcept { return row(q).text; }

std::optional<Quota> quota_named(std::string_view name) noexcept
{
    for (std::size_t i = 0; i < kQuotas; ++i)
        if (kRows[i].name == name)
            return quota_at(i);
    return std::nullopt;
}

} // namespace xsgit::server
