// SPDX-License-Identifier: MIT
// The limits of unprivileged domains, by the C daemon's names (4.22). A limit of N allows N; 0: unlimited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace xsgit::server {

/// In the order in which GET_QUOTA lists them. The numbers are part of the checkpoint.
enum class Quota : std::uint8_t {
    Nodes,            // owned nodes
    Watches,          //
    Outstanding,      // requests whose answer or events were not taken yet
    Memory,           // bytes: owned nodes, watches, logs of transactions; beyond: ENOMEM
    SoftMemory,       // bytes: a warning in the log
    Transactions,     // open ones
    TransactionNodes, // nodes accessed in one transaction
    NodePermissions,  // entries of a permission list
    PathMax,          // characters of a path, without /local/domain/N/
    NodeSize,         // bytes: 16 + 8 per permission + value + names of the children, each with its NUL
};
inline constexpr std::size_t kQuotas = 10;

/// A limit of xsgit/base/limits.hpp, that binds privileged connections too.
struct FixedLimit {
    std::string_view what; // "open transactions": of what there are not more; static lifetime
    std::uint64_t value;
};

/// Highest values seen, one for each.
using Peaks = std::array<std::uint64_t, kQuotas>;
inline void note_peak(Peaks &peaks, Quota q, std::uint64_t n) noexcept
{
    std::uint64_t &most = peaks[static_cast<std::size_t>(q)];
    most = n > most ? n : most;
}

/// One value for each.
class Quotas {
public:
    /// The C daemon's defaults.
    Quotas() noexcept;
    std::uint32_t &operator[](Quota q) noexcept { return values_[static_cast<std::size_t>(q)]; }
    std::uint32_t operator[](Quota q) const noexcept { return values_[static_cast<std::size_t>(q)]; }
    /// Whether `n` is more than the limit allows.
    bool exceeded(Quota q, std::uint64_t n) const noexcept { return (*this)[q] != 0 && n > (*this)[q]; }

private:
    std::array<std::uint32_t, kQuotas> values_;
};

/// "nodes", "soft-memory"; static lifetime.
std::string_view quota_name(Quota q) noexcept;
/// What `xenstore-control quota` says of it.
std::string_view quota_text(Quota q) noexcept;
std::optional<Quota> quota_named(std::string_view name) noexcept;
constexpr Quota quota_at(std::size_t i) noexcept { return static_cast<Quota>(i); }

} // namespace xsgit::server
