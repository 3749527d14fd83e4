// SPDX-License-Identifier: MIT
// Which commit a person means.
#pragma once

#include "inspect/view.hpp"
#include "xsgit/base/path.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xsgit::inspect {

/// The commit of `spec`:
///   #18234    that number on main         #18240.2    the second step of that transaction
///   a time (time_spec.hpp)                 the newest commit not later
///   anything of git's                      HEAD and main are the end of history, unpublished commits included
/// Empty: the end of history. Throws ToolFailure: kNoRevision, or kPruned with the oldest number kept.
Oid resolve(const RepositoryView &view, std::string_view spec, bool utc);

/// "REV:PATH". The path is absolute or special ("#5:/local/domain/0", "10:23:/vm", "HEAD:@releaseDomain"); behind a
/// revision of git's the first slash may be missing, as in git.
struct RevisionAndPath {
    std::string revision;
    std::optional<Path> path;
};
/// Throws ToolFailure (kUsage) for what is no path.
RevisionAndPath split_revision(std::string_view text, bool utc);

/// An absolute path as a person types it; a slash at its end does no harm. Throws ToolFailure (kUsage).
Path parse_path(std::string_view text);

} // namespace xsgit::inspect
